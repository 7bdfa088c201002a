/** The blocks of a report as HTML. Charts and records are shells that the browser's scripts fill from the data. */
import { describeChart, thin } from './chart-text';
import { formatNumber } from './format';
import { html, type Html } from './html';
import type { Block, Chart, Column, Facts, Filter, Notices, RecordTable, Severity, Table } from './types';

/** Consecutive charts stand side by side where there is room. */
export function renderBlocks(blocks: readonly Block[]): Html[] {
  const result: Html[] = [];
  for (let i = 0; i < blocks.length;) {
    const charts: Chart[] = [];
    for (let block = blocks[i]; block?.kind === 'chart'; block = blocks[++i]) charts.push(block);
    if (charts.length > 0) result.push(html`<div class="charts">${charts.map(renderChart)}</div>`);
    else result.push(renderBlock(blocks[i++] as Exclude<Block, Chart>));
  }
  return result;
}

function renderBlock(block: Exclude<Block, Chart>): Html {
  switch (block.kind) {
    case 'paragraph':
      return html`<p>${block.text}</p>`;
    case 'facts':
      return renderFacts(block);
    case 'notices':
      return renderNotices(block);
    case 'table':
      return renderTable(block);
    case 'records':
      return renderRecords(block);
  }
}

function renderFacts({ facts }: Facts): Html {
  return html`<dl class="facts">
    ${facts.map(
      ({ name, value, note }) =>
        html`<div>
          <dt>${name}</dt>
          <dd>${value}${note === undefined ? '' : html`<small>${note}</small>`}</dd>
        </div> `,
    )}
  </dl>`;
}

/** The word says it to everybody; the sign has its own shape, so that colour is never all there is. */
const SEVERITIES: Readonly<Record<Severity, { word: string; sign: string }>> = {
  problem: { word: 'Problem', sign: '✕' },
  warning: { word: 'Warning', sign: '!' },
  note: { word: 'Note', sign: 'i' },
  good: { word: 'Good', sign: '✓' },
};

function renderNotices({ notices }: Notices): Html {
  return html`<ul class="notices">
    ${notices.map(({ severity, text, detail }) => {
      const { word, sign } = SEVERITIES[severity];
      return html`<li class="notice ${severity}">
        <span class="sign" aria-hidden="true">${sign}</span>
        <div>
          <p><strong>${word}:</strong> ${text}</p>
          ${detail === undefined ? '' : html`<p class="muted">${detail}</p>`}
        </div>
      </li> `;
    })}
  </ul>`;
}

function renderChart(chart: Chart): Html {
  const { each } = thin(chart);
  const label = describeChart(chart);
  const maxima = chart.series.filter((series) => series.maxima).map(({ name }) => name);
  const except = maxima.length > 0 ? ` (${maxima.join(', ')}: the greatest)` : '';
  const shortened = each > 1 ? ` Each point is the mean of ${each} neighbouring values${except}.` : '';
  return html`<figure class="chart ${chart.shape}">
    <figcaption>
      <h3>${chart.title}</h3>
      <p class="muted">${chart.caption}${shortened}</p>
    </figcaption>
    <ul class="legend" aria-label="Series of ${chart.title}"></ul>
    <div class="canvas"><canvas id="chart-${chart.id}" role="img" aria-label="${label}"></canvas></div>
    <details class="data">
      <summary>Data table<span class="visually-hidden">: ${chart.title}</span></summary>
    </details>
  </figure> `;
}

function classOf({ format, wide }: Column): string {
  return format ? 'number' : wide ? 'wide' : 'text';
}

/** What a table begins with. */
function renderHead(caption: string, columns: readonly Column[]): Html {
  return html`<caption>
      ${caption}
    </caption>
    <thead>
      <tr>
        ${columns.map((column) => html`<th scope="col" class="${classOf(column)}">${column.name}</th>`)}
      </tr>
    </thead>`;
}

function renderTable({ caption, columns, rows }: Table): Html {
  return html`<div class="scroll" role="region" aria-label="${caption}" tabindex="0">
    <table>
      ${renderHead(caption, columns)}
      <tbody>
        ${rows.map(
          (row) =>
            html`<tr>
              ${row.map((cell, i) => renderCell(cell, columns[i]!, i))}
            </tr> `,
        )}
      </tbody>
    </table>
  </div>`;
}

function renderCell(cell: string | number | null, column: Column, index: number): Html {
  const text = typeof cell === 'string' ? cell : formatNumber(cell, column.format);
  return index === 0
    ? html`<th scope="row" class="${classOf(column)}">${text}</th>`
    : html`<td class="${classOf(column)}">${text}</td>`;
}

function renderRecords(table: RecordTable): Html {
  const { id, caption, noun, note, columns, filters } = table;
  return html`<div class="records" data-records="${id}">
    ${note === undefined ? '' : html`<p>${note}</p>`}
    <form class="filters" role="search" aria-label="Find ${noun}">
      <p>
        <label for="${id}-text">Text</label
        ><input id="${id}-text" name="text" type="search" autocomplete="off" spellcheck="false" />
      </p>
      ${filters.map((filter, i) => renderFilter(filter, `${id}-filter-${i}`, i))}
      <p><button type="reset">Show all</button></p>
    </form>
    <p class="found muted" role="status"></p>
    <div class="scroll" role="region" aria-label="${caption}" tabindex="0">
      <table>
        ${renderHead(caption, columns)}
        <tbody></tbody>
      </table>
    </div>
    <p><button type="button" class="more" hidden>Show more ${noun}</button></p>
  </div>`;
}

function renderFilter(filter: Filter, id: string, index: number): Html {
  if (filter.kind === 'choice') {
    return html`<p>
      <label for="${id}">${filter.label}</label
      ><select id="${id}" name="${index}">
        <option value="">all</option>
        ${filter.options.map(({ label }, i) => html`<option value="${i}">${label}</option> `)}
      </select>
    </p>`;
  }
  const { label, min, max } = filter;
  const end = (name: string) =>
    html`<p>
      <label for="${id}-${name}">${label} ${name}</label
      ><input
        id="${id}-${name}"
        name="${index}-${name}"
        type="number"
        min="${min}"
        max="${max}"
        placeholder="${name === 'from' ? min : max}"
      />
    </p> `;
  return html`${end('from')}${end('to')}`;
}
