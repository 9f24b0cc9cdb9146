#include "cloud.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

namespace culld::simulation {

namespace {

struct parsed {
    std::string_view method, target, body;
    std::vector<emulator::header> headers;
};

// The bytes of a whole request at the beginning of `in`; 0 if it is not all there.
std::size_t whole_request(std::string_view in, parsed& out) {
    const std::size_t head = in.find("\r\n\r\n");
    if (head == std::string_view::npos) return 0;
    out = {};
    std::size_t length = 0;
    for (std::size_t at = 0; at <= head;) {
        const std::size_t end = in.find("\r\n", at);
        const std::string_view line = in.substr(at, end - at);
        if (at == 0) {
            const std::size_t first = line.find(' '), second = line.find(' ', first + 1);
            out.method = line.substr(0, first);
            out.target = line.substr(first + 1, second - first - 1);
        } else if (const std::size_t colon = line.find(": "); colon != std::string_view::npos) {
            out.headers.push_back({line.substr(0, colon), line.substr(colon + 2)});
            if (out.headers.back().name == "Content-Length")
                std::from_chars(line.data() + colon + 2, line.data() + line.size(), length);
        }
        at = end + 2;
    }
    if (in.size() < head + 4 + length) return 0;
    out.body = in.substr(head + 4, length);
    return head + 4 + length;
}

}  // namespace

struct cloud::connection : far_end {
    connection(cloud& to, std::weak_ptr<stream_socket> socket) : owner(to), from(std::move(socket)) {}
    cloud& owner;
    std::weak_ptr<stream_socket> from;
    std::string inbox;

    void received(std::string_view bytes) override {
        inbox += bytes;
        parsed request;
        const std::size_t size = whole_request(inbox, request);
        if (size == 0) return;
        machine& m = owner.in_.on;
        std::vector<std::string_view> ids;
        emulator::batch_body body;
        if (request.method == "GET") {
            std::string_view path = request.target.substr(0, request.target.find('?'));
            ids.push_back(path.substr(path.rfind('/') + 1));
        } else if (emulator::read_batch(request.body, body)) {
            ids = body.ids;
        }
        m.tell(fmt::format("request {} {} of {} ids, {}…", request.method, request.target, ids.size(),
                           ids.empty() ? std::string_view() : ids.front()));
        owner.judge_.sent(request.method, request.target, ids);
        m.in(owner.way(), [&to = owner, socket = from, whole = inbox.substr(0, size)] { to.arrive(socket, whole); });
        inbox.erase(0, size);
    }
    void gone() override {}
};

cloud::cloud(world& in, truth& judge) : in_(in), judge_(judge) {
    in_.on_connect = [this](const std::shared_ptr<stream_socket>& s) { connect(s); };
}

cloud::~cloud() {
    in_.on_connect = nullptr;
}

void cloud::behave(emulator::scenario rules, std::optional<std::string> token) {
    emulator::incidents ids = emulated_ ? std::move(emulated_->ids) : emulator::incidents(1'000'000);
    emulated_ = std::make_unique<emulator::cloud>(std::move(rules), std::move(ids), std::move(token), std::nullopt);
    dark_until_ = moment();
}

void cloud::forget(const std::string& id) {
    static_cast<void>(emulated_->ids.remove(emulator::incidents::key_of(id), id));
}

bool cloud::exists(const std::string& id) const {
    return emulated_->ids.exists(emulator::incidents::key_of(id));
}

void cloud::connect(const std::shared_ptr<stream_socket>& from) {
    machine& m = in_.on;
    if (m.chance.chance(now.black_hole)) return m.tell("a connection goes nowhere");
    const bool refused = m.now() < dark_until_ || m.chance.chance(now.refuse);
    m.in(way() * 2, [this, weak = std::weak_ptr(from), refused] {
        const auto s = weak.lock();
        if (!s || s->state != stream_socket::state_type::connecting) return;
        if (refused) {
            s->state = stream_socket::state_type::broken;
            s->error = ECONNREFUSED;
        } else {
            s->state = stream_socket::state_type::open;
            s->peer = std::make_shared<connection>(*this, s);
        }
        in_.on.tell(refused ? "connection refused" : "connected");
        in_.on.changed(s.get());
    });
}

void cloud::arrive(const std::weak_ptr<stream_socket>& from, const std::string& bytes) {
    machine& m = in_.on;
    parsed p;
    if (whole_request(bytes, p) == 0) return;
    emulator::request r;
    r.arrived = steady_time(m.now());
    r.method = p.method;
    r.target = p.target;
    r.headers = p.headers;
    r.body = p.body;
    r.number = emulator::arrived(*emulated_, r.target, r.arrived);
    emulator::reply reply;
    reply.clear();
    emulator::answer(*emulated_, r, reply);
    if (r.method != "GET" && reply.status == 200) judge_.answered(emulated_->batch.ids, reply.status, reply.body);
    m.tell(fmt::format("server: {} {}, {} of {} deleted", reply.status, reply.did, reply.deleted, reply.ids));
    m.in(reply.delay + way(), [this, from, reply] { respond(from, reply); });
}

void cloud::respond(const std::weak_ptr<stream_socket>& to, const emulator::reply& reply) {
    machine& m = in_.on;
    using ending = emulator::reply::ending;
    switch (reply.how) {
        case ending::hang: return;
        case ending::close: return in_.end(to, false);
        case ending::reset: return in_.end(to, true);
        case ending::refuse: dark_until_ = m.now() + reply.refuse_for; return in_.end(to, true);
        case ending::send:
        case ending::cut: break;
    }
    if (m.chance.chance(now.black_hole)) return m.tell("an answer gets lost");
    if (m.chance.chance(now.reset)) {
        m.tell("a connection is reset");
        return in_.end(to, true);
    }
    std::string out;
    emulator::append_response(out, reply, "Wed, 25 Nov 2026 01:00:00 GMT");
    if (m.chance.chance(now.garbage)) {
        m.tell("an answer is garbage");
        // No flipped bytes: TCP and TLS see to that.
        emulator::reply other = reply;
        other.status = 200;
        other.body = m.chance.chance(0.5) ? "<html>log in</html>" : reply.body.substr(0, reply.body.size() / 2);
        out.clear();
        if (m.chance.chance(0.3))
            out = "SSH-2.0-OpenSSH_9.2\r\n\r\n";
        else
            emulator::append_response(out, other, "Wed, 25 Nov 2026 01:00:00 GMT");
    }
    bool close = reply.close;
    if (reply.how == ending::cut && out.size() > reply.body.size()) {
        out.resize(out.size() - (reply.body.size() + 1) / 2);
        close = true;
    }
    moment later{};
    while (m.chance.chance(now.pieces) && out.size() > 1) {
        const std::size_t first = 1 + m.chance.below(out.size() - 1);
        m.in(later, [this, to, piece = out.substr(0, first)] { in_.deliver(to, piece); });
        out.erase(0, first);
        later += m.chance.between(moment(0), moment(std::chrono::milliseconds(300)));
    }
    m.in(later, [this, to, out, close] {
        in_.deliver(to, out);
        if (close) in_.end(to, false);
    });
    if (!close && m.chance.chance(now.idle_close))
        m.in(later + m.chance.between(moment(0), moment(std::chrono::milliseconds(50))),
             [this, to] { in_.end(to, false); });
}

}  // namespace culld::simulation
