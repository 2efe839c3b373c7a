//! What a workspace's code leaves for git to run, and that nobody but the workspace runs it.

use crate::{
    hostile::{Attack, attack, hostile, tree},
    stage::owner_of,
};
use cid_testkit::{Dialogue, host::Host};
use serde_json::json;
use std::collections::BTreeSet;

/// Plants whatever git runs, in a clone's own configuration and hooks. Each writes who it was.
const PLANT: &str = r#"
mkdir -p ../home/canary && chmod 777 ../home ../home/canary
cat > ../home/run <<END
#!/bin/sh
for to in $(cd .. && pwd)/home/canary /srv/canary /tmp /var/tmp /dev/shm; do
    { id; echo "\$0 \$*"; tr '\\0' ' ' < /proc/\$PPID/cmdline; } > \$to/canary.\$\$ 2>/dev/null
done
exit 0
END
chmod 755 ../home/run
run=$(cd .. && pwd)/home/run
for hook in applypatch-msg pre-applypatch post-applypatch pre-commit prepare-commit-msg commit-msg \
    post-commit pre-rebase post-checkout post-merge pre-push pre-receive update post-receive post-update \
    push-to-checkout pre-auto-gc post-rewrite reference-transaction fsmonitor-watchman post-index-change; do
    cp ../home/run .git/hooks/$hook
done
mkdir -p ../home/hooks && cp .git/hooks/* ../home/hooks/
set_key() { git config --file .git/config "$1" "$2"; }
for key in core.fsmonitor core.sshCommand core.gitProxy core.askPass core.editor core.pager \
    sequence.editor diff.external gpg.program gpg.ssh.program credential.helper \
    filter.evil.clean filter.evil.smudge filter.evil.process diff.evil.textconv diff.evil.command \
    merge.evil.driver remote.origin.uploadpack remote.origin.receivepack remote.origin.vcs \
    uploadpack.packObjectsHook receive.procReceiveRefs interactive.diffFilter trailer.x.command \
    init.templateDir man.evil.cmd browser.evil.cmd pager.status pager.push alias.push alias.fetch; do
    set_key $key $run
done
set_key core.hooksPath $(cd .. && pwd)/home/hooks
set_key filter.evil.required true
set_key protocol.ext.allow always
set_key core.alternateRefsCommand $run
set_key url."ext::$run ".insteadOf /
set_key include.path $(cd .. && pwd)/home/included
printf '[core]\n\tfsmonitor = %s\n' $run > ../home/included
echo '* filter=evil diff=evil merge=evil' > .git/info/attributes
echo '* filter=evil diff=evil merge=evil' > .gitattributes
"#;

/// A branch with an object that is not there and that `origin` has promised.
const PROMISE: &str = "git config --file .git/config core.fsmonitor false
git config --file .git/config --unset core.hooksPath; rm -r .git/hooks
git config --file .git/config core.repositoryFormatVersion 1
git config --file .git/config extensions.partialClone origin
git config --file .git/config remote.origin.promisor true
blob=$(echo gone | git hash-object -w --stdin)
tree=$(printf '100644 blob %s\tgone\n' $blob | git mktree)
git update-ref refs/heads/promised $(git -c user.name=m -c user.email=m@m commit-tree -m x $tree)
rm -f .git/objects/$(echo $blob | cut -c1-2)/$(echo $blob | cut -c3-)
GIT_NO_LAZY_FETCH=1 git cat-file -e $blob 2> /dev/null || echo missing";

/// Removes what the traps have written.
fn forget(host: &Host) {
    let delete =
        "find -L /srv/canary /tmp /var/tmp /dev/shm /srv/cid/hostile -name 'canary.*' -delete";
    host.run(&["sh", "-c", delete]).unwrap();
}

#[test]
fn planting_hooks_and_commands_in_a_clones_git_configuration() {
    let install = format!("set -e\n{PLANT}echo planted > planted\n");
    let Some(host) = hostile(&[Attack {
        who: "mallory",
        install: &install,
        app: "",
    }]) else {
        return;
    };
    let run = |args: &[&str]| host.run(args).unwrap();
    // As the workspace, in its clone; and somebody may edit its files.
    let access = "sed -i 's/^install = .*/install = []/; s/^release = .*/release = [[\"sh\", \"install.sh\"]]/' /etc/cid/projects.d/hostile.toml && printf '[access.people]\n\"mallory@example.com\" = \"anna\"\n' >> /etc/cid/projects.d/hostile.toml && systemctl reload cid";
    run(&["sh", "-c", access]).ok().unwrap();
    run(&["install", "-d", "-m", "1777", "/srv/canary"])
        .ok()
        .unwrap();
    // Its branch is not there: the creation pushes it with all of this planted.
    run(&[
        "git",
        "-c",
        "safe.directory=*",
        "-C",
        "/srv/git/hostile.git",
        "branch",
        "-m",
        "mallory---example-com",
        "kept",
    ]);
    let base = "main";
    run(&["sh", "-c", &format!("cd /srv/git/hostile.git && git -c safe.directory=* branch -f {base} kept && chown -R deploy:deploy .")]).ok().unwrap();
    let canaries = || {
        let places = [
            "/srv/canary",
            "/tmp",
            "/var/tmp",
            "/dev/shm",
            "/srv/cid/hostile",
        ];
        let find = ["find", "-L"]
            .into_iter()
            .chain(places)
            .chain(["-name", "canary.*"]);
        run(&find.collect::<Vec<_>>()).stdout
    };
    attack(&host, "mallory").ok().unwrap();
    assert!(
        host.exists(&format!("{}/planted", tree("mallory")))
            .unwrap()
    );
    let branch = [
        "git",
        "-c",
        "safe.directory=*",
        "-C",
        "/srv/git/hostile.git",
        "rev-parse",
        "mallory---example-com",
    ];
    run(&branch).ok().unwrap();
    assert_eq!(canaries(), "", "run by the creation");

    run(&[
        "cictl",
        "restart",
        "--project",
        "hostile",
        "mallory@example.com",
    ])
    .ok()
    .unwrap();
    run(&[
        "cictl",
        "show",
        "--project",
        "hostile",
        "mallory@example.com",
    ])
    .ok()
    .unwrap();
    // What the creation made does not count as work.
    let by_hand = format!("{}/by-hand", tree("mallory"));
    run(&["touch", &by_hand]).ok().unwrap();
    let refused = run(&[
        "cictl",
        "delete",
        "--yes",
        "--with-branch",
        "--project",
        "hostile",
        "mallory@example.com",
    ]);
    assert_eq!(refused.status, 5, "it holds uncommitted work: {refused}");
    assert_eq!(canaries(), "", "run by a look for uncommitted work");

    // Nor by what else cid does there, nor by the ways that its guide tells people.
    let tree = tree("mallory");
    let fetch = format!(
        "git -C ~/hers fetch --quiet --upload-pack='git -c safe.directory={tree}/.git upload-pack' {tree}/.git"
    );
    for (who, line) in [
        ("root", "cictl doctor; true".to_owned()),
        (
            "root",
            "cictl access repair --project hostile mallory@example.com".into(),
        ),
        ("root", "cictl project check hostile".into()),
        (
            "root",
            "cictl logs --project hostile mallory@example.com".into(),
        ),
        ("root", format!("git -C {tree} status; true")),
        ("anna", format!("git -C {tree} status; true")),
        ("anna", format!("echo hers >> {tree}/server.py")),
        (
            "anna",
            format!(
                "git init --quiet ~/hers && {fetch} mallory---example-com && git -C ~/hers log -1 FETCH_HEAD"
            ),
        ),
    ] {
        host.run_as(who, &["sh", "-c", &line])
            .unwrap()
            .ok()
            .unwrap();
        assert_eq!(canaries(), "", "run by {line}");
    }
    // The traps do work: git itself walks into them, as the workspace's own user and nobody else.
    let user = owner_of(&host, "%u", &tree);
    let whose = || -> BTreeSet<String> {
        let read = "cat $(find -L /srv/canary /tmp /var/tmp /dev/shm /srv/cid/hostile -name 'canary.*') < /dev/null";
        let said = run(&["sh", "-c", read]).stdout;
        let ids = said.lines().filter_map(|line| line.strip_prefix("uid="));
        ids.map(|line| line.split('(').next().unwrap().to_owned())
            .collect()
    };
    let own = BTreeSet::from([user]);
    for line in [
        "status",
        "commit --allow-empty --all --message=x",
        "diff",
        "push",
        "log -p",
    ] {
        let git = [
            "cictl",
            "run",
            "--project",
            "hostile",
            "mallory@example.com",
            "--",
            "git",
        ];
        run(&git.into_iter().chain(line.split(' ')).collect::<Vec<_>>());
        assert_eq!(whose(), own, "git {line}");
        forget(&host);
    }
    let steps = json!([
        ["expect", "$ "],
        [
            "send",
            "git status; git log -p; git push; git commit -a; echo do''ne\n"
        ],
        ["expect", "done\r\n"],
        ["send", "exit\n"],
    ]);
    let shell = [
        "cictl",
        "shell",
        "--project",
        "hostile",
        "mallory@example.com",
    ];
    let words = Dialogue::words(&steps, &shell);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    Dialogue::of(&host.run_as("anna", &words).unwrap()).unwrap();
    assert_eq!(whose(), own, "a shell");
    forget(&host);

    // What is missing git would get from where the workspace's code says, by a program that it names.
    let promise = [
        "cictl",
        "run",
        "--project",
        "hostile",
        "mallory@example.com",
        "--",
        "sh",
        "-c",
        PROMISE,
    ];
    let promised = run(&promise).ok().unwrap().stdout;
    forget(&host);
    host.run_as("anna", &["sh", "-c", &format!("{fetch} promised")])
        .unwrap();
    assert_eq!(canaries(), "", "run by a fetch of what is missing");
    assert!(promised.contains("missing"), "{promised}");

    let delete = [
        "cictl",
        "delete",
        "--yes",
        "--discard",
        "--with-branch",
        "--force",
        "--project",
        "hostile",
        "mallory@example.com",
    ];
    run(&delete).ok().unwrap();
    assert_eq!(canaries(), "", "run by the delete");
    assert_ne!(run(&branch).status, 0, "the branch is still there");
}
