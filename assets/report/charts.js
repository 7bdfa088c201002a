/**
 * Draws the charts. A series differs from the others by its marker and its dashes as well as by its colour; colours come
 * from the style sheet, so that there is one place for light and dark.
 */
'use strict';

(() => {
  const { make, draw, formatNumber, makeTable } = reportPage;

  /** How series are told apart without their colours. Hollow markers sit well on top of each other. */
  const MARKS = [
    { marker: 'circle', dash: [] },
    { marker: 'triangle', dash: [7, 4] },
    { marker: 'rect', dash: [2, 3] },
    { marker: 'rectRot', dash: [9, 3, 2, 3] },
    { marker: 'star', dash: [4, 2] },
    { marker: 'cross', dash: [12, 4] },
    { marker: 'crossRot', dash: [1, 4] },
    { marker: 'line', dash: [6, 2, 1, 2, 1, 2] },
  ];

  /** Paths of the markers in a box of 10 by 10, for the legend. */
  const PATHS = {
    circle: 'M5 1.5a3.5 3.5 0 1 0 0 7a3.5 3.5 0 1 0 0-7z',
    triangle: 'M5 1L9 8.5H1z',
    rect: 'M2 2h6v6h-6z',
    rectRot: 'M5 .5L9.5 5L5 9.5L.5 5z',
    star: 'M5 1v8M1 5h8M2.2 2.2l5.6 5.6M7.8 2.2l-5.6 5.6',
    cross: 'M5 1v8M1 5h8',
    crossRot: 'M2 2l6 6M8 2l-6 6',
    line: 'M1 5h8',
  };

  const markOf = (index) => MARKS[index % MARKS.length];

  function readColors() {
    const style = getComputedStyle(document.documentElement);
    const read = (name) => style.getPropertyValue(name).trim();
    return {
      series: MARKS.map((_, i) => read(`--series-${i + 1}`)),
      text: read('--muted'),
      strong: read('--text'),
      grid: read('--grid'),
      paper: read('--paper'),
      font: style.fontFamily,
    };
  }

  /** `#rrggbb` at a quarter of its strength, for bands. */
  const faint = (color) => `${color}40`;

  /** A few markers a series, not at the same places as those of the others; single points always. */
  function markerRadii({ values }, index) {
    const every = Math.max(1, Math.ceil(values.length / 10));
    return values.map((value, i) => {
      const alone = (values[i - 1] ?? null) === null && (values[i + 1] ?? null) === null;
      return value !== null && (alone || (i + index) % every === 0) ? 3.5 : 0;
    });
  }

  function lineDatasets(chart, colors) {
    const points = (values) => values.map((y, i) => ({ x: chart.along.positions[i], y }));
    return chart.series.flatMap((series, index) => {
      const color = colors.series[index % MARKS.length];
      const { marker, dash } = markOf(index);
      const line = {
        label: series.name,
        data: points(series.values),
        borderColor: color,
        backgroundColor: colors.paper,
        borderDash: dash,
        borderWidth: 1.75,
        pointStyle: marker,
        pointRadius: markerRadii(series, index),
        pointBorderWidth: 1.5,
        pointHoverRadius: 4.5,
        clip: 8,
        order: index,
        source: series,
      };
      if (!series.low || !series.high) return [line];
      const edge = { borderWidth: 0, pointRadius: 0, pointHoverRadius: 0, order: 100 };
      return [
        line,
        { ...edge, data: points(series.low) },
        { ...edge, data: points(series.high), fill: '-1', backgroundColor: faint(color) },
      ];
    });
  }

  function dotDatasets(chart, colors) {
    return chart.series.map((series, index) => {
      const color = colors.series[index % MARKS.length];
      return {
        label: series.name,
        data: series.values,
        showLine: false,
        borderColor: color,
        // The first is hollow, the others are filled: before and after.
        backgroundColor: index === 0 ? colors.paper : color,
        pointStyle: markOf(index).marker,
        pointRadius: 5.5,
        pointBorderWidth: 2,
        pointHoverRadius: 7,
        order: -index,
        source: series,
      };
    });
  }

  /** Lines between before and after, and whiskers for intervals, below the dots. */
  const rowLines = {
    id: 'rowLines',
    beforeDatasetsDraw({ ctx, data, scales, config }) {
      const { connect, colors } = config.options.plugins.rowLines;
      const sources = data.datasets.map(({ source }) => source);
      const segment = (row, from, to, color, width) => {
        if ((from ?? null) === null || (to ?? null) === null) return;
        const y = scales.y.getPixelForValue(row);
        ctx.strokeStyle = color;
        ctx.lineWidth = width;
        ctx.beginPath();
        ctx.moveTo(scales.x.getPixelForValue(from), y);
        ctx.lineTo(scales.x.getPixelForValue(to), y);
        ctx.stroke();
      };
      ctx.save();
      for (let row = 0; row < data.labels.length; row++) {
        if (connect) segment(row, sources[0].values[row], sources.at(-1).values[row], colors.text, 1.5);
        sources.forEach(({ low, high }, i) =>
          segment(row, low?.[row], high?.[row], colors.series[i % MARKS.length], 2.5),
        );
      }
      ctx.restore();
    },
  };

  function valueText({ values, low, high }, i, format) {
    const text = formatNumber(values[i], format);
    return (low?.[i] ?? null) === null || (high?.[i] ?? null) === null
      ? text
      : `${text} (${formatNumber(low[i], format)} to ${formatNumber(high[i], format)})`;
  }

  /** From the first position to the last; a single one stands in the middle, alone. */
  function numberAxis({ label, positions, logarithmic }, axis) {
    const [first, last] = [positions[0], positions.at(-1)];
    const alone = first === last;
    return {
      ...axis(label, {
        ticks: {
          precision: 0,
          maxTicksLimit: 9,
          padding: 6,
          callback: (tick) => (alone && tick !== first ? '' : formatNumber(tick, { useGrouping: false })),
        },
        grid: { display: false },
      }),
      type: logarithmic ? 'logarithmic' : 'linear',
      // Few enough to stand there each; powers of ten say little about 8 to 512.
      ...(logarithmic && {
        afterBuildTicks: (scale) => (scale.ticks = positions.map((value) => ({ value }))),
      }),
      min: alone ? first - 1 : first,
      max: alone ? first + 1 : last,
    };
  }

  /** Long names would leave no room for the dots; the data table has them whole. */
  function rowAxis({ positions }, axis) {
    const short = (name) => (name.length > 26 ? `${name.slice(0, 25)}…` : name);
    const ticks = { autoSkip: false, padding: 6, callback: (row) => short(positions[row]) };
    const { title, ...rest } = axis('', { ticks });
    return { ...rest, title: { ...title, display: false }, type: 'category', offset: true };
  }

  function configuration(chart, colors) {
    const lines = chart.shape === 'lines';
    const font = { family: colors.font, size: 12 };
    const axis = (label, extra) => ({
      title: { display: true, text: label, color: colors.text, font },
      ticks: { color: colors.text, font, maxRotation: 0, ...extra.ticks },
      grid: { color: colors.grid, drawTicks: false, ...extra.grid },
      border: { display: false },
    });
    const { label, format, min, max } = chart.value;
    const valueAxis = {
      ...axis(label, {
        ticks: { callback: (tick) => formatNumber(tick, format), maxTicksLimit: 6, padding: 6 },
      }),
      suggestedMin: min,
      suggestedMax: max,
    };
    const alongAxis = lines ? numberAxis(chart.along, axis) : rowAxis(chart.along, axis);
    return {
      type: 'line',
      data: lines
        ? { datasets: lineDatasets(chart, colors) }
        : { labels: chart.along.positions, datasets: dotDatasets(chart, colors) },
      plugins: lines ? [] : [rowLines],
      options: {
        animation: false,
        layout: { padding: { top: 8, right: 10 } },
        maintainAspectRatio: false,
        indexAxis: lines ? 'x' : 'y',
        interaction: { mode: 'index', axis: lines ? 'x' : 'y', intersect: false },
        scales: lines ? { x: alongAxis, y: valueAxis } : { y: alongAxis, x: valueAxis },
        plugins: {
          legend: { display: false },
          rowLines: { connect: chart.connect === true, colors },
          tooltip: {
            backgroundColor: colors.strong,
            titleColor: colors.paper,
            bodyColor: colors.paper,
            titleFont: font,
            bodyFont: font,
            usePointStyle: true,
            filter: ({ dataset }) => dataset.source !== undefined,
            callbacks: {
              title: ([item]) =>
                item ? `${lines ? `${chart.along.label} ` : ''}${chart.along.positions[item.dataIndex]}` : '',
              label: ({ dataset, dataIndex }) =>
                ` ${dataset.label}: ${valueText(dataset.source, dataIndex, format)}`,
              labelColor: ({ dataset }) => ({
                borderColor: dataset.borderColor,
                backgroundColor: dataset.borderColor,
                borderWidth: 2,
              }),
            },
          },
        },
      },
    };
  }

  /** The legend is part of the page and not of the picture: it can be read, and grows with the text size. */
  function makeLegend(list, chart) {
    const items = chart.series.map(({ name, low }, index) => {
      const { marker, dash } = markOf(index);
      const line = { x1: 0, y1: 5, x2: 34, y2: 5, 'stroke-dasharray': dash.join(' ') || 'none' };
      const sign = draw(
        'svg',
        {
          viewBox: '0 0 34 10',
          width: 34,
          height: 10,
          class: `sign-${(index % MARKS.length) + 1}`,
          'aria-hidden': 'true',
        },
        ...(chart.shape === 'lines' ? [draw('line', line)] : []),
        draw('path', {
          d: PATHS[marker],
          transform: 'translate(12 0)',
          class: chart.shape === 'dots' && index > 0 ? 'filled' : 'hollow',
        }),
      );
      const interval = low ? (chart.shape === 'lines' ? ', with band' : ', with interval') : '';
      return make('li', {}, sign, ` ${name}${interval}`);
    });
    list.replaceChildren(...items);
  }

  function makeDataTable(chart) {
    const names = [chart.along.label, ...chart.series.map(({ name }) => name)];
    const rows = chart.along.positions.map((position, i) => [
      String(position),
      ...chart.series.map((series) => valueText(series, i, chart.value.format)),
    ]);
    return makeTable(`${chart.title}: ${chart.value.label.toLowerCase()}`, names, rows);
  }

  const canvasOf = (id) => document.getElementById(`chart-${id}`);

  /** Draws every chart of the page, and again when light turns dark. */
  reportPage.startCharts = (charts) => {
    const drawn = new Map();
    const drawAll = () => {
      const colors = readColors();
      for (const [id, chart] of Object.entries(charts)) {
        drawn.get(id)?.destroy();
        drawn.set(id, new Chart(canvasOf(id), configuration(chart, colors)));
      }
    };
    for (const [id, chart] of Object.entries(charts)) {
      const figure = canvasOf(id).closest('figure');
      makeLegend(figure.querySelector('.legend'), chart);
      if (chart.shape === 'dots') {
        figure.querySelector('.canvas').style.height = `${64 + 34 * chart.along.positions.length}px`;
      }
      // Made when it is first opened: tables of all charts at once would slow the page down.
      const details = figure.querySelector('details');
      details.addEventListener('toggle', () => details.append(makeDataTable(chart)), { once: true });
    }
    drawAll();
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', drawAll);
    addEventListener('beforeprint', () => drawn.forEach((chart) => chart.resize()));
  };
})();
