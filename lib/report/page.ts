/**
 * One self-contained page from a report: everything is inlined, and its policy forbids every request and every script
 * and style but those whose hashes it names. It opens from a disk without a network, now and in ten years.
 */
import { createHash } from 'node:crypto';
import { LspError } from '../errors';
import { readAssets } from './assets';
import { renderBlocks } from './blocks';
import { thin } from './chart-text';
import { embedJson, Html, html } from './html';
import type { Report, Section } from './types';

/** The page of a report, the whole file. @throws LspError IO_ERROR (the installation lacks a file) */
export async function renderPage(report: Report): Promise<string> {
  const { template, style, scripts, licences } = await readAssets();
  const parts: Record<string, Html> = {
    policy: policyFor(style, scripts),
    title: html`<title>${report.title}</title>`,
    style: new Html(`<style>${style}</style>`),
    heading: html`<p class="overline">${report.overline}</p>
      <h1>${report.headline}</h1>
      ${report.lead.map((text) => html`<p class="lead">${text}</p> `)}`,
    contents: html`${report.sections.map(({ id, title }) => html`<li><a href="#${id}">${title}</a></li> `)}`,
    summary: html`${renderBlocks(report.summary)}`,
    sections: html`${report.sections.map(renderSection)}`,
    colophon: html`<p>${report.colophon}</p>`,
    licences: html`${licences.map(
      ({ name, text }) =>
        html`<h3>${name}</h3>
          <pre>${text}</pre>`,
    )}`,
    data: html`<script type="application/json" id="report-data">
      ${embedJson(dataOf(report))}
    </script>`,
    scripts: new Html(scripts.map((script) => `<script>${script}</script>`).join('\n')),
  };
  // In one pass: a text that looks like a placeholder is never taken for one.
  return template.replace(/<!-- (\w+) -->/g, (_, name: string) => {
    const part = parts[name];
    if (part === undefined)
      throw new LspError('INTERNAL', `Expected no placeholder \`${name}\` in page.html.`);
    return part.markup;
  });
}

function renderSection({ id, title, lead, blocks }: Section): Html {
  return html`<section id="${id}" aria-labelledby="${id}-title">
    <h2 id="${id}-title">${title}</h2>
    ${lead === undefined ? '' : html`<p class="section-lead">${lead}</p>`} ${renderBlocks(blocks)}
  </section> `;
}

function policyFor(style: string, scripts: readonly string[]): Html {
  const hash = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
  const policy = [
    "default-src 'none'",
    `script-src ${scripts.map(hash).join(' ')}`,
    `style-src ${hash(style)}`,
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    // Makes innerHTML and its relatives throw: what models wrote is text or nothing.
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; ');
  return new Html(`<meta http-equiv="Content-Security-Policy" content="${policy}">`);
}

interface PageData {
  charts: Record<string, unknown>;
  records: Record<string, unknown>;
}

/** What the browser's scripts draw from. */
function dataOf({ summary, sections }: Report): PageData {
  const data: PageData = { charts: {}, records: {} };
  const add = (into: Record<string, unknown>, id: string, value: unknown) => {
    if (id in into) throw new LspError('INTERNAL', `Expected one block named \`${id}\` but received two.`);
    into[id] = value;
  };
  for (const block of [...summary, ...sections.flatMap(({ blocks }) => blocks)]) {
    if (block.kind === 'chart') add(data.charts, block.id, rounded(thin(block).chart));
    if (block.kind === 'records') add(data.records, block.id, block);
  }
  return data;
}

/** Six digits are more than a chart shows, and a third of the size. */
function rounded<T>(value: T): T {
  const text = JSON.stringify(value, (_, item: unknown) =>
    typeof item === 'number' ? Number(item.toPrecision(6)) : item,
  );
  return JSON.parse(text) as T;
}
