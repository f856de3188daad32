// A link to a closed section opens it.
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
