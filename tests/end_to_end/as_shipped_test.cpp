// culld as its unit runs it, and the drop box as tmpfiles.conf makes it: what only shows among other users' files.
#include "as_shipped.hpp"

namespace culld::programs {
namespace {

TEST_F(AsShipped, JobsOfAllMembersOfTheGroupAreTakenAndNoOthersGetIn) {
    configure({});
    child daemon = started();
    drop_job("hers", 5);
    drop_as(bob, "his.txt", list("his", 5));
    here_.write("sent.yaml", "version: 1\nid: sent\nids: [sent-0, sent-1]\n");
    EXPECT_EQ(ctl_as(bob, {"submit", "--wait", here_.path("sent.yaml")}), 0) << told() << log();
    ASSERT_TRUE(eventually([&] { return in("done", "hers.yaml") && in("done", "his.txt"); })) << log();
    EXPECT_EQ(records("sent", "job.accepted").front().at("owner").at("uid").to_number<uid_t>(), bob.uid);
    EXPECT_EQ(records("hers", "job.accepted").front().at("owner").at("uid").to_number<uid_t>(), alice.uid);
    EXPECT_NE(ctl_as(stranger, {"submit", here_.path("sent.yaml")}), 0) << told();
    const std::string inside = at("spool/incoming/x.txt");
    EXPECT_EQ(
        as(stranger, [&] { return ::open(inside.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600) < 0 ? errno : 0; }),
        EACCES);
    expect_true_verdicts("hers", 5);
    expect_verified();
}

}  // namespace
}  // namespace culld::programs
