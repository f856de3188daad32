// In: tables of the class sortable, with a button in each heading and data-value in each cell that has
// a number. Out: a press on a heading sorts the rows by its column, from the largest number, and a
// second one from the smallest. Rows without a number stay last, equal rows in the order they had.
for (const table of document.querySelectorAll('table.sortable')) {
  const headings = [...table.tHead.rows[0].cells];
  const sort = (heading) => {
    const descending = heading.ariaSort !== 'descending';
    for (const other of headings) other.ariaSort = other === heading ? (descending ? 'descending' : 'ascending') : null;
    const value = (row) => parseFloat(row.cells[heading.cellIndex].dataset.value);
    const missing = (row) => Number.isNaN(value(row));
    const before = (one, other) => missing(one) - missing(other)
      || (missing(one) ? 0 : (descending ? -1 : 1) * (value(one) - value(other)));
    table.tBodies[0].append(...[...table.tBodies[0].rows].sort(before));
  };
  for (const heading of headings) heading.querySelector('button')?.addEventListener('click', () => sort(heading));
}
