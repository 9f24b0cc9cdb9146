// A fuzzer without libFuzzer, for where there is only GCC: every file of its corpus as it is, then changed ones, the
// same in each run. fuzz_NAME CORPUS [HOW_MANY]. A law that is broken aborts, and the input is left in fuzz_NAME.crash.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

std::string input;  // what is being tried
std::string kept_in;

void try_it() {
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
}

// Only what a signal handler may do: the process goes on to die of the signal.
void keep_input(int signal) {
    const int out = ::open(kept_in.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (out >= 0) {
        static_cast<void>(!::write(out, input.data(), input.size()));
        ::close(out);
    }
    std::signal(signal, SIG_DFL);
    std::raise(signal);
}

class mutator {
  public:
    explicit mutator(const std::vector<std::string>& corpus) : corpus_(corpus) {}

    std::string next() {
        std::string out = any();
        for (std::size_t changes = 1 + below(4); changes > 0; --changes) change(out);
        return out;
    }

  private:
    std::size_t below(std::size_t n) { return n == 0 ? 0 : static_cast<std::size_t>(dice_() % n); }
    const std::string& any() { return corpus_[below(corpus_.size())]; }
    void change(std::string& text) {
        static constexpr std::array odd{'\0', '\n', '\r', '"', '\\', '{', '}',    '[',
                                        ']',  ',',  ':',  ' ', '-',  '9', '\x7f', '\xff'};
        const std::size_t at = below(text.size() + 1), length = below(std::min<std::size_t>(text.size() - at, 40) + 1);
        switch (below(8)) {
            case 0:
                if (at < text.size()) text[at] = static_cast<char>(text[at] ^ (1 << below(8)));
                break;
            case 1:
                if (at < text.size()) text[at] = odd[below(odd.size())];
                break;
            case 2: text.insert(at, 1, odd[below(odd.size())]); break;
            case 3: text.erase(at, length); break;
            case 4: text.insert(at, text.substr(at, length)); break;
            case 5: text.resize(at); break;
            case 6: {
                const std::string& other = any();
                const std::size_t from = below(other.size() + 1);
                text.replace(at, length, other.substr(from, below(80)));
                break;
            }
            default: text.insert(at, std::to_string(dice_() >> below(64))); break;
        }
    }

    const std::vector<std::string>& corpus_;
    std::mt19937_64 dice_{20261126};
};

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) return std::fprintf(stderr, "usage: %s CORPUS [HOW_MANY]\n", argv[0]), 64;
    std::size_t many = 5000;
    if (argc > 2) {
        const std::string_view text = argv[2];
        std::from_chars(text.data(), text.data() + text.size(), many);
    }
    kept_in = std::filesystem::path(argv[0]).filename().string() + ".crash";
    for (const int fatal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) std::signal(fatal, keep_input);
    std::vector<std::filesystem::path> files;
    for (const auto& file : std::filesystem::directory_iterator(argv[1])) files.push_back(file.path());
    std::sort(files.begin(), files.end());
    std::vector<std::string> corpus;
    for (const auto& path : files) {
        std::ifstream file(path, std::ios::binary);
        corpus.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
        input = corpus.back();
        try_it();
    }
    if (corpus.empty()) return std::fprintf(stderr, "%s is empty\n", argv[1]), 66;
    mutator next(corpus);
    for (std::size_t i = 0; i < many; ++i) {
        input = next.next();
        try_it();
    }
    std::printf("%zu inputs from the corpus, %zu changed ones\n", corpus.size(), many);
    return 0;
}
