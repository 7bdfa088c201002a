'use strict';
/**
 * Builds and runs the native programs that need no Node.js:
 *
 *   npm run check -- [kernel...]               kernels against their double-precision oracles
 *   npm run check -- --sanitize [kernel...]    the same under AddressSanitizer and UndefinedBehaviorSanitizer
 *   npm run bench -- [kernel...]               speed as a share of this machine's measured peak
 *
 * Arguments go to the program. LSP_ISA forces an instruction set; LSP_BUILD_JOBS (default 2) bounds the build.
 */
const { spawnSync } = require('node:child_process');
const path = require('node:path');

const root = path.resolve(__dirname, '..');

function run(command, parameters, stdio) {
  const result = spawnSync(command, parameters, { cwd: root, stdio, encoding: 'utf8', maxBuffer: 1 << 28 });
  if (result.error) {
    process.stderr.write(`Expected to run \`${command}\` but received: ${result.error.message}.\n`);
    return 1;
  }
  if (result.status !== 0 && result.stdout) process.stderr.write(`${result.stdout}${result.stderr}`);
  if (result.signal) process.stderr.write(`${command} was ended by ${result.signal}.\n`);
  return result.status ?? 1;
}

function main([tool, ...rest]) {
  if (tool !== 'check' && tool !== 'bench') {
    process.stderr.write(`Expected \`check\` or \`bench\` but received ${JSON.stringify(tool)}.\n`);
    return 2;
  }
  const sanitize = rest.includes('--sanitize');
  const parameters = rest.filter((argument) => argument !== '--sanitize');
  const directory = path.join(root, sanitize ? 'build-sanitize' : 'build-check');
  const hasNinja = spawnSync('ninja', ['--version'], { stdio: 'ignore' }).status === 0;
  const configure = ['-S', root, '-B', directory, '-DLSP_BUILD_CHECKS=ON', '-DCMAKE_BUILD_TYPE=Release'];
  configure.push(`-DLSP_SANITIZE=${sanitize ? 'ON' : 'OFF'}`);
  configure.push(`-DLSP_WERROR=${process.env.LSP_WERROR === '1' ? 'ON' : 'OFF'}`);
  if (hasNinja) configure.push('-G', 'Ninja');
  const program = `lsp_${tool}`;
  const build = ['--build', directory, '--target', program, '--parallel', process.env.LSP_BUILD_JOBS || '2'];
  return (
    run('cmake', configure, 'pipe') ||
    run('cmake', build, 'pipe') ||
    run(path.join(directory, program), parameters, 'inherit')
  );
}

process.exitCode = main(process.argv.slice(2));
