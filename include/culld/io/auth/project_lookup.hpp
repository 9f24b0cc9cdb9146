// Asks IAM for the id of a project by its name: GET /v3/projects?name=NAME (secmaster-api.md 6.5). Loop thread.
#pragma once

#include "culld/io/auth/credentials.hpp"
#include "culld/io/http/http_call.hpp"
#include "culld/io/secrets/secret_file.hpp"

namespace culld {

class project_lookup {
  public:
    project_lookup(std::string name, route iam, const config& settings);
    // For the project that project_to_look_up() names; nothing if there is none to ask for.
    [[nodiscard]] static result<std::unique_ptr<project_lookup>> make(const config& settings,
                                                                      const secret_access& secrets);

    struct answer {
        enum class outcome {
            found,
            unauthorized,  // `refusal` says why
            later,         // a network or a server is to blame
            none,          // IAM's word: no such project, several, or not for this identity
        };
        outcome what = outcome::later;
        std::string id;
        problem why;
        signature_rejection refusal;
    };
    // `who` is usable; it is not needed any more once this waits. One at a time.
    [[nodiscard]] task<answer> ask(credentials& who);
    void break_off() { call_.break_off(); }

    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] const std::string& where() const { return iam_.to.authority; }

  private:
    std::string name_;
    route iam_;
    http_call call_;
};

}  // namespace culld
