/**
 * A long table with a search. Rows are made as they are shown, a page at a time, so that thousands of them cost nothing
 * until somebody asks for them.
 */
'use strict';

(() => {
  const { make, formatNumber } = reportPage;
  const PAGE_SIZE = 25;

  /** Everything in a row that can be searched, in lower case. */
  function searchText(row) {
    return row
      .map((cell) => {
        if (cell === null || typeof cell !== 'object') return String(cell ?? '');
        return [cell.text ?? '', ...(cell.entries ?? []).map(({ text }) => text)].join('\n');
      })
      .join('\n')
      .toLowerCase();
  }

  function makeText(text, className) {
    // A direction of its own: a text cannot turn around what stands beside it.
    return make('p', { class: className, dir: 'auto' }, text);
  }

  function makeDetails({ summary, entries }) {
    const list = entries.map(({ label, text }) =>
      make(
        'li',
        {},
        make('p', { class: 'muted' }, label),
        makeText(text === '' ? '(empty)' : text, 'sample'),
      ),
    );
    return make('details', {}, make('summary', {}, summary), make('ul', {}, ...list));
  }

  function makeCell(cell, column, isHeading) {
    const kind = column.format ? 'number' : column.wide ? 'wide' : 'text';
    const element = make(
      isHeading ? 'th' : 'td',
      isHeading ? { scope: 'row', class: kind } : { class: kind },
    );
    if (cell !== null && typeof cell === 'object') {
      if (cell.text !== undefined) element.append(makeText(cell.text, 'sample'));
      if (cell.entries) element.append(makeDetails(cell));
      if (!element.hasChildNodes()) element.append('–');
    } else {
      element.append(typeof cell === 'string' ? cell : formatNumber(cell, column.format));
    }
    return element;
  }

  /** The filters as they are set, as one test of a row. */
  function readFilters(form, filters) {
    const numberOf = (name) => {
      const { value } = form.elements.namedItem(name);
      return value === '' ? null : Number(value);
    };
    const tests = filters.flatMap((filter, i) => {
      if (filter.kind === 'range') {
        const [from, to] = [numberOf(`${i}-from`) ?? -Infinity, numberOf(`${i}-to`) ?? Infinity];
        return [(row) => row[filter.column] >= from && row[filter.column] <= to];
      }
      const { value } = form.elements.namedItem(String(i));
      if (value === '') return [];
      const { accept } = filter.options[Number(value)];
      return [(row) => accept.includes(row[filter.column])];
    });
    return (row) => tests.every((test) => test(row));
  }

  function startTable(box, table) {
    const form = box.querySelector('form');
    const body = box.querySelector('tbody');
    const more = box.querySelector('.more');
    const found = box.querySelector('.found');
    const texts = table.rows.map(searchText);
    let matches = [];
    let shown = 0;

    const showMore = () => {
      const next = matches.slice(shown, shown + PAGE_SIZE);
      body.append(
        ...next.map((row) =>
          make('tr', {}, ...row.map((cell, i) => makeCell(cell, table.columns[i], i === 0))),
        ),
      );
      shown += next.length;
      more.hidden = shown >= matches.length;
      const amount = formatNumber(matches.length, { maximumFractionDigits: 0 });
      const all = formatNumber(table.rows.length, { maximumFractionDigits: 0 });
      found.textContent =
        `${amount} of ${all} ${table.noun} found` +
        (shown < matches.length ? `, the first ${shown} shown.` : '.');
    };
    const search = () => {
      const passes = readFilters(form, table.filters);
      const words = form.elements.namedItem('text').value.toLowerCase().trim();
      matches = table.rows.filter((row, i) => passes(row) && (words === '' || texts[i].includes(words)));
      shown = 0;
      body.replaceChildren();
      showMore();
    };

    form.addEventListener('input', search);
    form.addEventListener('submit', (event) => event.preventDefault());
    // The fields are emptied after the event.
    form.addEventListener('reset', () => setTimeout(search));
    more.addEventListener('click', () => {
      const first = shown;
      showMore();
      // The button may be gone now; the reader goes on at the first new row.
      if (more.hidden) {
        const row = body.rows[first];
        row.tabIndex = -1;
        row.focus();
      }
    });
    search();
  }

  reportPage.startRecords = (tables) => {
    for (const box of document.querySelectorAll('[data-records]'))
      startTable(box, tables[box.dataset.records]);
  };
})();
