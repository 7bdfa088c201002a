/** Reports: one self-contained page of a run. */
export { writeReport, type WriteReportOptions } from './write-report';
