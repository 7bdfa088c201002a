// lsp_check [op...]: holds the kernels against their oracles, and their bits against each other. Without a
// name, all. LSP_ISA restricts it to one variant. Exit code 0 when everything passed, 1 when something
// failed, 2 for a wrong name.
#include <chrono>
#include <cstdio>
#include <map>
#include <string>

#include "check/check.h"

namespace lsp {
namespace check {

namespace {

std::map<std::string, void (*)(Checker&)>& registry() {
  static std::map<std::string, void (*)(Checker&)> checks;
  return checks;
}

}  // namespace

Registration::Registration(const char* op, void (*check)(Checker&)) { registry()[op] = check; }

static int check_main(int count, char** arguments) {
  std::map<std::string, void (*)(Checker&)> chosen;
  for (int i = 1; i < count; ++i) {
    const auto found = registry().find(arguments[i]);
    if (found == registry().end()) {
      std::fprintf(stderr, "Expected the name of a check but received '%s'. There are:", arguments[i]);
      for (const auto& entry : registry()) std::fprintf(stderr, " %s", entry.first.c_str());
      std::fprintf(stderr, "\n");
      return 2;
    }
    chosen.insert(*found);
  }
  if (count <= 1) chosen = registry();
  int passed = 0, failed = 0;
  const auto start = std::chrono::steady_clock::now();
  for (const auto& [op, check] : chosen) {
    Checker checker(op);
    check(checker);
    checker.print();
    std::fflush(stdout);
    passed += checker.passed();
    failed += checker.failed();
  }
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  const Checker last("");
  std::string variants;
  for (const Kernels* kernels : last.variants()) variants += std::string(" ") + kernels->isa;
  std::printf("Variants:%s (%.1f s)\n%d passed, %d failed\n", variants.c_str(), elapsed.count(), passed,
              failed);
  return failed == 0 ? 0 : 1;
}

}  // namespace check
}  // namespace lsp

int main(int count, char** arguments) {
  try {
    return lsp::check::check_main(count, arguments);
  } catch (const std::exception& error) {  // LSP_ISA names a variant that is not there
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
}
