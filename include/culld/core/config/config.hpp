// The configuration (contract, section 4) as values: what each setting means, its default, and what it must hold.
// Reading files is io's; nothing here opens one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "culld/core/base/time.hpp"

namespace culld {

enum class delete_method { automatic, post, remove };  // auto, post, delete
enum class auth_method { automatic, token, iam, aksk, metadata, profile };
enum class log_format { automatic, text, json, journald };

struct config {
    struct {
        std::string endpoint;  // https://host[:port]; http only to loopback; from region where left out
        std::string region;
        std::string project_id;
        std::string workspace_id;
        delete_method method = delete_method::automatic;
        std::string ca_file;
        std::string client_cert_file;
        std::string client_key_file;
        std::string proxy;
        std::string proxy_login_file;
        nanoseconds connect_timeout = std::chrono::seconds(5);
        nanoseconds request_timeout = std::chrono::seconds(30);
    } api;
    struct {
        auth_method method = auth_method::automatic;
        std::string token_file;
        std::string ak_file;
        std::string sk_file;
        std::string security_token_file;
        std::string profile_file;  // empty: $HUAWEICLOUD_SDK_CREDENTIALS_FILE, else ~/.huaweicloud/credentials
        struct {
            std::string endpoint;
            std::string user;
            std::string domain;
            std::string password_file;
            std::string project;
            std::string agency;         // another account's, that this user may act for
            std::string agency_domain;  // that account
        } iam;
        struct {
            std::string endpoint = "http://169.254.169.254";
        } metadata;
    } auth;
    struct {
        std::string dir = "/var/spool/culld";
        nanoseconds rescan = std::chrono::seconds(30);
        nanoseconds sidecar_wait = std::chrono::seconds(10);
    } spool;
    struct {
        std::string dir = "/var/lib/culld/journal";
        std::string signing_key_file;
        std::string public_key_file;
    } journal;
    struct {
        std::string pattern = "[A-Za-z0-9_-]{1,100}";
        std::string protected_file;
    } ids;
    struct {
        std::uint32_t size = 100;  // 1..999
    } batch;
    struct {
        double requests_per_second = 5;  // > 0, fractions allowed
        std::uint32_t burst = 1;         // >= 1
        std::uint32_t concurrency = 4;   // 1..256
        bool adaptive = true;
        std::uint64_t max_ids_per_job = 0;  // 0: no cap
    } limits;
    struct {
        std::vector<std::string> require_labels;
    } jobs;
    struct {
        std::uint32_t max_attempts = 5;  // 1..100
        nanoseconds base_delay = std::chrono::milliseconds(500);
        nanoseconds max_delay = std::chrono::seconds(60);
        nanoseconds give_up_after = std::chrono::hours(24);
        nanoseconds blocked_probe = std::chrono::minutes(5);  // 1s..24h
    } retry;
    struct {
        std::uint32_t failures = 10;
        nanoseconds probe = std::chrono::seconds(15);
    } breaker;
    struct {
        std::string listen = "127.0.0.1:9464";  // empty: none
        std::string socket = "/run/culld/control.sock";
    } http;
    struct {
        std::vector<std::string> command;  // program and arguments
        std::string webhook;
        std::string webhook_file;  // a secret that is the URL
        std::string header_file;   // a secret that goes with it, as one header line
        std::vector<std::string> on{"finished", "failed", "blocked", "rejected"};
        nanoseconds timeout = std::chrono::seconds(10);
        std::uint32_t attempts = 10;
    } notify;
    struct {
        std::string level = "info";
        log_format format = log_format::automatic;
    } log;
};

}  // namespace culld
