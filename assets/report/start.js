/** Brings the page to life once everything is there. */
'use strict';

(() => {
  const { charts, records } = JSON.parse(document.getElementById('report-data').textContent);
  reportPage.startRecords(records);
  reportPage.startCharts(charts);
})();
