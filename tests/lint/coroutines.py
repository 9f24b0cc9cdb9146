#!/usr/bin/env python3
"""Refuses the co_await expressions that GCC 12 compiles wrongly, without a warning: it frees memory twice.

A full expression that holds co_await may not also hold
  - a braced initialiser that makes a temporary:  co_await send({.a = probe{}})
  - a lambda that captures by value:              co_await call([p] { ... })
  - a conditional:                                b ? co_await x() : probe{}
The cure is the same for all: name it first, then std::move it in. A lambda's body is an expression of its own.
This reads tokens, not types, so it refuses some harmless ones too; those are rare and as easily named.

usage: coroutines.py FILE...      prints file:line: what; exits 1 if there is any
       coroutines.py --self-test  holds the check against expressions of known fate
"""
import re
import sys

TOKEN = re.compile(
    r'(?P<skip>\s+|//[^\n]*|/\*.*?\*/|^[ \t]*\#(?:\\\n|[^\n])*)'
    r'|(?P<text>(?:u8|[uUL])?R"(?P<raw>[^(\s]*)\(.*?\)(?P=raw)"|(?:u8|[uUL])?"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\')'
    r"|(?P<word>[A-Za-z_]\w*|\d(?:[\w.]|'\d)*)"
    r'|(?P<sign>->|::|&&|\[\[|\]\]|.)', re.S | re.M)
CLOSE = {'(': ')', '[': ']', '{': '}', '[[': ']]'}
CONTROL = {'if', 'while', 'for', 'switch'}
OPENS_BLOCK = {')', ']', ';', '{', '}', ':', 'else', 'do', 'try', 'const', 'noexcept', 'override', 'final', 'mutable'}
DECLARES = {'struct', 'class', 'enum', 'union', 'namespace', 'concept'}


class Group:
    """What stands between a bracket and its partner."""

    def __init__(self, bracket, line):
        self.bracket, self.line, self.items, self.kind = bracket, line, [], bracket


def tokens(source):
    line = 1
    for match in TOKEN.finditer(source):
        if not match.group('skip'):
            yield ('""' if match.group('text') else match.group(0)), line
        line += match.group(0).count('\n')


def tree(source):
    """Tokens as (text, line), brackets as groups. `[[` of `a[[]{}()]` would be misread; nobody writes that."""
    root = Group('{', 1)
    root.kind = 'block'
    stack = [root]
    for text, line in tokens(source):
        if text in CLOSE:
            group = Group(text, line)
            if text == '{':
                group.kind = 'block' if opens_block(stack[-1]) else 'initialiser'
            stack[-1].items.append(group)
            stack.append(group)
        elif text in CLOSE.values() and len(stack) > 1 and CLOSE[stack[-1].bracket] == text:
            stack.pop()
        else:
            stack[-1].items.append((text, line))
    return root


def name(item):
    return item[0] if isinstance(item, tuple) else CLOSE[item.bracket]


def opens_block(parent):
    before = [name(item) for item in parent.items]
    if not before:
        return parent.kind == 'block'
    if before[-1] == ']':
        return introduces_lambda(parent.items, len(before) - 1)
    if before[-1] in OPENS_BLOCK:
        return parent.kind == 'block' or before[-1] not in {';', ':'}
    # The statement so far: a declaration with a body, or a trailing return type before one?
    for word in reversed(before):
        if word in DECLARES or word == '->':
            return True
        if word in {';', '}', '=', ',', 'return', 'co_return', 'co_await'}:
            return False
    return False


def introduces_lambda(items, at):
    """A `[` in front of which no value can stand opens a lambda; after `auto` or `auto&`, a structured binding."""
    if not isinstance(items[at], Group) or items[at].bracket != '[':
        return False
    if at == 0:
        return True
    before = name(items[at - 1])
    if before in {'&', '&&'}:
        return at < 2 or name(items[at - 2]) != 'auto'
    if before in {'return', 'co_return', 'co_await', 'co_yield'}:
        return True
    return before not in {')', ']', '""'} and not re.fullmatch(r'\w+', before)


def captures_by_value(group):
    """Anything but `&`, `&name` and `this`: those have no destructor to run twice."""
    captures, start = [], True
    for item in group.items:
        if start:
            captures.append(name(item))
        start = name(item) == ','
    return any(capture not in {'&', 'this'} for capture in captures)


def expressions(group):
    """The full expressions of a group and of every block inside it, as lists of items."""
    part, control = [], False
    for item in group.items:
        if isinstance(item, Group) and item.kind == 'block':
            yield from expressions(item)
            # A lambda's body does not end the expression it stands in; any other block does.
            if not any(introduces_lambda(part, at) for at in range(len(part))):
                yield part
                part = []
        elif isinstance(item, Group) and control:
            yield from expressions(item)
            part = []
        else:
            if isinstance(item, Group):
                yield from (inner for block in blocks(item) for inner in expressions(block))
            part.append(item)
            if name(item) == ';':
                yield part
                part = []
        control = name(item) in CONTROL or (control and name(item) == 'constexpr')
    yield part


def blocks(group):
    for item in group.items:
        if isinstance(item, Group):
            if item.kind == 'block':
                yield item
            else:
                yield from blocks(item)


def faults(part):
    """(awaits, [(line, what)]) of one full expression."""
    awaits, found = False, []
    for at, item in enumerate(part):
        if isinstance(item, tuple):
            awaits = awaits or item[0] == 'co_await'
            if item[0] == '?':
                found.append((item[1], 'a conditional'))
            continue
        if item.kind == 'block' or item.bracket == '[[':
            continue
        if item.kind == 'initialiser':
            found.append((item.line, 'a braced initialiser'))
        elif introduces_lambda(part, at):
            if captures_by_value(item):
                found.append((item.line, 'a lambda that captures by value'))
            continue
        inner_awaits, inner = faults(item.items)
        awaits = awaits or inner_awaits
        found += inner
    return awaits, found


def check(source):
    found = set()
    for part in expressions(tree(source)):
        awaits, problems = faults(part)
        if awaits:
            found.update(problems)
    return sorted(found)


GOOD = [
    'task f() { co_await g(); }',
    'task f() { auto [a, b] = co_await g(x); for (auto& y : co_await h()) use(y); }',
    'task f() { if (co_await g()) { return_it({1}); } else h([p] { q(p); }); }',
    'task f() { request r{.a = 1}; co_await send(std::move(r)); }',
    'task f() { co_await send("{?", \'{\', R"(a ? {b} : c)"); // {?\n }',
    'task f() { co_await post([&] { g(); }); co_await post([this, &x](int n) -> int { return n; }); }',
    'task f() { co_await post([] { return pair{1, 2}; }); }',
    'task f() { auto g = [p = std::move(p)]() -> task { co_await h(); }; co_await run(std::move(g)); }',
    'task f() { const int n = b ? 1 : 2; co_await g(n); switch (n) { case 1: co_await h(); break; default: k({}); } }',
    'struct s { int a{1}; task f() const { co_await g(table[at]); } };',
    'task f() { while (co_await g()) ; int a = c ? 1 : 2; }',
    'spawn(ex, [p](int) -> task { co_await g(); }, token{});',
    'auto s::f(x y) -> asio::awaitable<result<void>> { co_await g(); auto z = y ? 1 : 0; }',
]
BAD = [
    'task f() { co_await send({.a = probe{}, .timeout = 3}); }',
    'task f() { auto r = co_await send(probe{}, 3); }',
    'task f() { if (!(co_await send({}))) return; }',
    'task f() { co_await call([p] { g(p); }); }',
    'task f() { co_await call([=] { g(); }); }',
    'task f() { co_await call([p = std::move(p)]() -> task { co_return; }, token); }',
    'task f() { co_await call([&a, b](int) mutable { g(a, b); }); }',
    'task f() { auto x = b ? co_await g() : probe(); }',
    'task f() { co_await g(b ? 1 : 2); }',
    'task f() { co_return std::pair{co_await g(), 1}; }',
    'task f() { for (auto& y : co_await h(list{1})) use(y); }',
    'auto f = [] () -> task { co_await g(x{1}); };',
    'task f() { use([] { return 1; }(), co_await g(probe{})); }',
]


def self_test():
    wrong = [f'refused, but harmless: {text}' for text in GOOD if check(text)]
    wrong += [f'let through: {text}' for text in BAD if not check(text)]
    if check('int a;\n\ntask f() {\n    co_await g(\n        x{1});\n}') != [(5, 'a braced initialiser')]:
        wrong.append('the line is wrong')
    return wrong


def main(arguments):
    if arguments == ['--self-test']:
        problems = self_test()
    else:
        problems = []
        for path in arguments:
            with open(path, encoding='utf-8') as file:
                problems += [f'{path}:{line}: {what} beside co_await: name it first, then std::move it in'
                             for line, what in check(file.read())]
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
