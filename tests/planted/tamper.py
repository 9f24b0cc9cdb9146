#!/usr/bin/env python3
"""Plants bugs in what keeps journals and ledger from being bent, one at a time, and sees that the tests notice.

    tests/planted/tamper.py [NAME…]        (default: every bug)

Works in this tree, builds in build/planted, and puts each file back as it was. Exits 1 where a bug went unnoticed.
"""
import planted
from planted import SHELL, UNIT

BUGS = {
    "chain-not-checked": ("daemon/core/chain.cpp", "if (out.prev != head_) {", "if (out.prev != head_ && false) {",
                          UNIT, "Tamper.*:Chain*"),
    "seq-not-checked": ("daemon/core/chain.cpp", "if (out.seq != records_)", "if (out.seq != records_ && false)",
                        UNIT, "Tamper.*:JournalRead*:Audit*:Chain*"),
    "cut-line-taken": ("daemon/core/chain.cpp", "if (!ended)\n", "if (!ended && line.empty())\n", UNIT, "Tamper.*"),
    "hash-ahead-not-the-lines": ("daemon/io/hashed_lines.cpp", "hash_.update(text);",
                                 "hash_.update(text.substr(0, text.size() / 2));", SHELL,
                                 "HashedLines.*:CullctlVerify.*"),
    "signature-of-anybody": ("daemon/core/ledger_signature.cpp",
                             "EVP_DigestVerify(with.get(), raw.data(), raw.size(), bytes_of(text), text.size()) == 1",
                             "EVP_DigestVerify(with.get(), raw.data(), raw.size(), bytes_of(text), text.size()) < 2",
                             UNIT, "LedgerSignature.*:Tamper.*"),
    "signature-in-any-spelling": ("daemon/core/ledger_signature.cpp", "if (base64(raw) != signature) return false;", "",
                                  UNIT, "LedgerSignature.*:Tamper.*"),
    "unsigned-line-believed": ("daemon/core/ledger_check.cpp", "if (line >= from)", "if (false)", UNIT, "Tamper.*"),
    "signing-begins-where-anybody-says": ("daemon/core/ledger_check.cpp",
                                          "if (!key->signed_by_one(signed_from_text(", "if (false && !key->signed_by_one(signed_from_text(",
                                          UNIT, "Tamper.*"),
    "replaced-key-still-believed": ("daemon/core/ledger_check.cpp", "current_ = std::move(key);", "static_cast<void>(key);",
                                    UNIT, "Tamper.*"),
    "option-loosens-the-ledgers-word": ("daemon/core/ledger_check.cpp", "from = std::min(from, *begins_);", "from = from + 0;",
                                        UNIT, "Tamper.*"),
    "line-signature-not-looked-at": ("daemon/core/ledger_check.cpp",
                                     "} else if (!believed().signed_by_one(entry.head, entry.sig)) {",
                                     "} else if (false) {", UNIT, "Tamper.*"),
    "head-signature-not-looked-at": ("daemon/core/ledger_check.cpp",
                                     "else if (!believed().signed_by_one(head->sha256, head->sig))",
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
    "unnamed-journal-called-intact": ("daemon/ctl/report_facts.cpp", "if (!out.entry && out.finished() && sight == ledger_sight::open) {", "if (false) {",
                                      SHELL, "CullctlReport.*:*EvidenceAttack*"),
    "nothing-verified-is-ok": ("daemon/ctl/verify.cpp", "if (t.journals == 0 && ledger.records() == 0)", "if (false)", SHELL,
                               "Evidence.*"),
    "beginning-of-a-job-verified": ("daemon/ctl/verify.cpp", "find_journal(with, *dir, name, naming::in_full)",
                                    "find_journal(with, *dir, name)", SHELL, "Evidence.*"),
    "escaped-key-taken": ("daemon/core/record_form.cpp", "if (found != known.end()) return value(m.value, name, *found);",
                          "return found == known.end() ? void() : value(m.value, name, *found);", UNIT, "*RecordForm*"),
    "repeated-inner-key-taken": ("daemon/core/record_form.cpp", "if (!seen.insert(m.key).second)",
                                 "if (!seen.insert(m.key).second && false)", UNIT, "*RecordForm*"),
    "needless-escape-taken": ("daemon/core/record_form.cpp", "return again == text.raw;", "return true;", UNIT, "*RecordForm*"),
    "name-runs-in-a-shell": ("daemon/core/shell_word.cpp", "c == '\\'' ? std::string_view(\"'\\\\''\") : std::string_view(&c, 1)",
                             "std::string_view(&c, 1)", UNIT, "ShellWord.*"),
    "strangers-link-followed": ("daemon/ctl/output_file.cpp", "if (!ours(facts.st_uid) && (::geteuid() == 0 || is_shared(at.get())))",
                                "if (false)", SHELL, "CullctlReport.*"),
    "daemon-signs-whatever-is-there": ("daemon/io/ledger_file.cpp", "if (!was_signed_) return false;  // the key is new",
                                       "return false;", SHELL, "*LedgerFile*"),
    "line-of-a-stranger-signed": ("daemon/io/ledger_file.cpp", "if (!foreseen) return refuse", "if (!foreseen && lines == 0) return refuse", SHELL,
                                  "*LedgerFile*"),
}

planted.main(BUGS)
