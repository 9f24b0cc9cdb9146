#!/usr/bin/env python3
"""Plants bugs in what keeps journals and ledger from being bent, one at a time, and sees that the tests notice.

    tests/planted/tamper.py [BUILD_FOLDER] [NAME…]        (default build/release, every bug)

Works in this tree, and puts each file back as it was. Exits 1 where a bug went unnoticed.
"""
import os, pathlib, subprocess, sys

UNIT, SHELL, WHOLE = "culld_unit_tests", "culld_shell_tests", "culld_end_to_end_tests"
# name: file, what stands there, what is planted, test program, tests that must fail
BUGS = {
    "chain-not-checked": ("daemon/core/chain.cpp", "if (out.prev != head_) {", "if (out.prev != head_ && false) {",
                          UNIT, "Tamper.*:Chain*"),
    "seq-not-checked": ("daemon/core/chain.cpp", "if (out.seq != records_)", "if (out.seq != records_ && false)",
                        UNIT, "Tamper.*:JournalRead*:Audit*:Chain*"),
    "cut-line-taken": ("daemon/core/chain.cpp", "if (!ended) return", "if (!ended && line.empty()) return", UNIT, "Tamper.*"),
    "hash-ahead-not-the-lines": ("daemon/io/hashed_lines.cpp", "hash_.update(text);",
                                 "hash_.update(text.substr(0, text.size() / 2));", SHELL,
                                 "HashedLines.*:CullctlVerify.*"),
    "signature-of-anybody": ("daemon/core/ledger_signature.cpp",
                             "EVP_DigestVerify(with.get(), raw.data(), raw.size(), bytes_of(text), text.size()) == 1",
                             "EVP_DigestVerify(with.get(), raw.data(), raw.size(), bytes_of(text), text.size()) < 2",
                             UNIT, "LedgerSignature.*:Tamper.*"),
    "signature-in-any-spelling": ("daemon/core/ledger_signature.cpp", "if (base64_of(raw) != signature) return false;", "",
                                  UNIT, "LedgerSignature.*:Tamper.*"),
    "unsigned-line-believed": ("daemon/core/ledger_check.cpp", "if (line >= rules_.signed_from)", "if (false)", UNIT,
                               "Tamper.*"),
    "line-signature-not-looked-at": ("daemon/core/ledger_check.cpp",
                                     "} else if (!rules_.keys->signed_by_one(entry.head, entry.sig)) {",
                                     "} else if (false) {", UNIT, "Tamper.*"),
    "head-signature-not-looked-at": ("daemon/core/ledger_check.cpp",
                                     "else if (!rules_.keys->signed_by_one(head->sha256, head->sig))",
                                     "else if (false)", UNIT, "Tamper.*"),
    "unsigned-head-believed": ("daemon/core/ledger_check.cpp", "if (rules_.keys != nullptr) {\n        if (!head_signed_)",
                               "if (rules_.keys != nullptr && head_signed_) {\n        if (!head_signed_)", UNIT, "Tamper.*"),
    "head-in-any-form": ("daemon/core/ledger_check.cpp",
                         "ledger_head_text({head->seq + 1, hash}, head->sig) != text", "false", UNIT, "Tamper.*"),
    "old-head-believed": ("daemon/core/ledger_check.cpp", "if (head->seq + 1 != chain_.records())",
                          "if (head->seq + 1 > chain_.records())", UNIT, "Tamper.*"),
    "ledgers-word-not-compared": ("daemon/core/audit.cpp", "if (entry.head != head) differ(", "if (entry.head != head && head.empty()) differ(",
                                  UNIT, "Tamper.*:Audit.*"),
    "second-verdict-unnoticed": ("daemon/core/audit.cpp", "if (fresh != s.count)", "if (fresh > s.count)", UNIT,
                                 "Tamper.*:Audit.*"),
    "intent-not-needed": ("daemon/core/audit.cpp", "if (const spans without = missing_from(intended_, at); !without.empty())\n"
                          "        find(fmt::format(\"{} was never intended\"",
                          "if (const spans without = missing_from(intended_, at); false)\n"
                          "        find(fmt::format(\"{} was never intended\"", UNIT, "Tamper.*:Audit.*"),
    "totals-not-added-up": ("daemon/core/audit.cpp", "if (says != is)", "if (says != is && false)", UNIT,
                            "Tamper.*:Audit.*"),
    "missing-verdict-unnoticed": ("daemon/core/audit.cpp", "if (settled_.count() != summary_.totals.ids) {",
                                  "if (settled_.count() > summary_.totals.ids) {", UNIT, "Tamper.*:Audit.*"),
    "missing-journal-unnoticed": ("daemon/ctl/verify.cpp", "if (entry != nullptr)\n                out.find(\"the journal is missing",
                                  "if (false)\n                out.find(\"the journal is missing", SHELL, "CullctlVerify.*"),
    "daemon-signs-whatever-is-there": ("daemon/io/ledger_file.cpp", "if (!was_signed_) return {};  // the key is new",
                                       "return {};", SHELL, "*LedgerFile*"),
    "line-of-a-stranger-signed": ("daemon/io/ledger_file.cpp", "if (!foreseen) return", "if (!foreseen && lines == 0) return", SHELL,
                                  "*LedgerFile*"),
}


def build_and_test(build, program, tests):
    """0 passed, 1 failed, 2 did not build."""
    built = subprocess.run(["cmake", "--build", build, "--target", program], stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True)
    if built.returncode != 0:
        print(built.stdout[-3000:])
        return 2
    done = subprocess.run([f"{build}/tests/{program}", f"--gtest_filter={tests}", "--gtest_brief=1"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
    return 0 if done.returncode == 0 else 1


def main():
    os.chdir(pathlib.Path(__file__).resolve().parents[2])
    words = sys.argv[1:]
    build = words.pop(0) if words and words[0] not in BUGS else "build/release"
    missed = []
    for name in words or BUGS:
        file, was, planted, program, tests = BUGS[name]
        path = pathlib.Path(file)
        good = path.read_text()
        if good.count(was) != 1:
            sys.exit(f"{name}: {file} holds what is to be replaced {good.count(was)} times: mend this list")
        try:
            path.write_text(good.replace(was, planted))
            outcome = build_and_test(build, program, tests)
        finally:
            path.write_text(good)
        print(f"{name}: {['NOT NOTICED', 'found', 'does not build'][outcome]}", flush=True)
        if outcome != 1:
            missed.append(name)
    print(f"{len(words or BUGS) - len(missed)} of {len(words or BUGS)} planted bugs found")
    return 1 if missed else 0


sys.exit(main())
