// In: the hash of the address. Out: the collapsed section it points to is opened and scrolled to.
const open = () => {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const section = target && target.closest('details');
  if (!section) return;
  section.open = true;
  section.scrollIntoView();
};
addEventListener('hashchange', open);
open();
document.body.dataset.ready = '1';
