"""Plants bugs in this tree, one at a time, builds, and sees that the tests notice; puts each file back as it was.

Used by tamper.py and faults.py, which hold the bugs:
    name: (file, what stands there, what is planted, test program, tests of which one must fail)
What is to be replaced must stand there exactly once; --check looks at that alone, for all of them. Exits 1 where a bug
went unnoticed or does not build.
"""
import os
import pathlib
import subprocess
import sys

UNIT, SHELL, WHOLE, MEMORY = "culld_unit_tests", "culld_shell_tests", "culld_end_to_end_tests", "culld_memory_tests"
PROGRAMS = {SHELL: ["culld", "cullctl", "cull-emulator"], WHOLE: ["culld", "cullctl", "cull-emulator"]}
OUTCOMES = ("NOT NOTICED", "found", "does not build", "not tested here: see why the test was skipped")


def build_and_test(build, program, tests):
    """An index into OUTCOMES."""
    targets = [program] + PROGRAMS.get(program, [])
    built = subprocess.run(["cmake", "--build", build, "--target"] + targets, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True)
    if built.returncode != 0:
        print(built.stdout[-3000:])
        return 2
    try:
        done = subprocess.run([f"{build}/tests/{program}", f"--gtest_filter={tests}"], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace", timeout=300)
    except subprocess.TimeoutExpired:
        return 1
    if done.returncode != 0:
        return 1
    return 3 if "NOT TESTED" in done.stdout else 0


def main(bugs):
    os.chdir(pathlib.Path(__file__).resolve().parents[2])
    words = sys.argv[1:]
    for name, (file, was, *_) in bugs.items():
        if (count := pathlib.Path(file).read_text().count(was)) != 1:
            sys.exit(f"{name}: {file} holds what is to be replaced {count} times: mend this list")
    if words == ["--check"]:
        return
    if unknown := [word for word in words if word not in bugs]:
        sys.exit(f"no such bug: {', '.join(unknown)}")
    build = "build/planted"
    subprocess.run(["cmake", "--preset", "planted"], check=True, stdout=subprocess.DEVNULL)
    missed = []
    for name in words or bugs:
        file, was, planted, program, tests = bugs[name]
        path = pathlib.Path(file)
        good = path.read_text()
        try:
            path.write_text(good.replace(was, planted))
            outcome = build_and_test(build, program, tests)
        finally:
            path.write_text(good)
        print(f"{name}: {OUTCOMES[outcome]}", flush=True)
        if outcome != 1:
            missed.append(name)
    print(f"{len(words or bugs) - len(missed)} of {len(words or bugs)} planted bugs found")
    sys.exit(1 if missed else 0)
