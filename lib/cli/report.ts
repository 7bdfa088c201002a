/** `lsp report`: one page of what a run did and what came out of it. */
import { Command } from 'commander';
import { writeReport } from '../report';
import { Output, type Streams } from './output';

interface ReportFlags {
  out?: string;
  json?: boolean;
}

export function reportCommand(streams: Streams): Command {
  return new Command('report')
    .description('Write one page of a run: its result, curves, samples and options, to open in any browser.')
    .argument('<run>', 'the directory of a run, finished or not')
    .option('--out <file>', 'where to write it (default: report.html in the run)')
    .option('--json', 'machine-readable output')
    .addHelpText(
      'after',
      '\nExamples:\n  $ lsp report runs/first\n  $ lsp report runs/first --out first.html',
    )
    .action(async (run: string, { out, json }: ReportFlags) => {
      const output = new Output({ json: json ?? false, streams });
      const path = await writeReport(run, { ...(out !== undefined && { out }) });
      output.value({ report: path });
      if (!output.json) output.line(path);
    });
}
