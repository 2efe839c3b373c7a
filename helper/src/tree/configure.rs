//! Writes the operator's files and links into a tree. Running it twice gives what once gives.

use crate::git::work::{Earlier, made_by_cid};
use crate::tree::{
    beneath::{FOLDER, Root, plain_path},
    copy, exclude, purge,
    tracked::{Claim, Tracked},
};
use cid_protocol::{
    budget::{RENDERED, TEMPLATE},
    fault::{Fault, FaultContext},
    request::{Configure, Configured, FileSource, TreeFile, TreeLink},
};
use minijinja::{Environment, UndefinedBehavior, syntax::SyntaxConfig};
use rustix::fs::{AtFlags, FileType, Mode, unlinkat};
use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Configures a tree.
///
/// # Errors
/// A place is tracked by git and must not be replaced, is taken by something else, or lies behind
/// a link; a template is wrong.
pub(crate) fn configure(ask: &Configure) -> Result<Configured, Fault> {
    let tree = Root::open(&ask.tree)?;
    let mut tracked = Tracked::read(&tree)?;
    // All that can be refused is refused before anything is written.
    let mut files = Vec::new();
    let mut kept = Vec::new();
    for file in &ask.files {
        let target = plain_path(&file.target)?;
        if file.yields && tracked.has(&target) {
            kept.push(target);
            continue;
        }
        tracked.claim(&target, file.replace)?;
        files.push((target, content(&tree, file, ask)?));
    }
    let mut links = Vec::new();
    for link in &ask.links {
        let target = plain_path(&link.target)?;
        if link.yields && tracked.has(&target) {
            kept.push(target);
            continue;
        }
        let claim = tracked.claim(&target, link.replace)?;
        links.push((target, link, claim));
    }
    let paths: Vec<PathBuf> = files
        .iter()
        .map(|(t, _)| t)
        .chain(links.iter().map(|(t, ..)| t))
        .cloned()
        .collect();
    let earlier = Earlier::read(&ask.tree);
    let edited: Vec<(PathBuf, PathBuf)> = files
        .iter()
        .filter(|(target, content)| earlier.is_edited(target) && differs(&tree, target, content))
        .map(|(target, _)| Ok((target.clone(), free_beside(&tree, target)?)))
        .collect::<Result<_, Fault>>()?;
    let asides = edited.iter().map(|(_, aside)| aside);
    let unseen: Vec<PathBuf> = paths.iter().chain(asides).cloned().collect();
    exclude::exclude(&tree, &unseen)?;
    for (target, aside) in &edited {
        tree.rename_beside(target, aside)?;
    }
    for (target, content) in &files {
        if tree.kind(target)? == Some(FileType::Directory) {
            return Err(taken(target, "a folder"));
        }
        tree.write(target, content.as_bytes())?;
    }
    for (target, link, claim) in &links {
        make_link(&tree, target, link, *claim)?;
    }
    let (mut removed, mut left) = (Vec::new(), Vec::new());
    for target in earlier.unless(&[paths.as_slice(), kept.as_slice()].concat()) {
        match tree.kind(&target)? {
            None => removed.push(target),
            Some(kind)
                if kind != FileType::Directory
                    && !tracked.has(&target)
                    && earlier.is_untouched(&target) =>
            {
                remove(&tree, &target)?;
                removed.push(target);
            }
            Some(_) => left.push(target),
        }
    }
    tracked.save()?;
    let copies = links.iter().filter(|(_, link, _)| link.copy);
    let copies = copies.map(|(target, ..)| target);
    let gone = [removed.as_slice(), left.as_slice()].concat();
    made_by_cid(&ask.tree, paths.iter(), copies, &gone)?;
    Ok(Configured {
        kept,
        edited,
        removed,
        left,
    })
}

fn differs(tree: &Root, target: &Path, content: &str) -> bool {
    let present = tree.read(target, RENDERED.most as u64);
    present.map_or(true, |present| present != content)
}

/// A name that nothing has: `.env.edited`, `.env.edited-2`.
fn free_beside(tree: &Root, target: &Path) -> Result<PathBuf, Fault> {
    let with = |end: String| {
        let mut name = target.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    };
    let names = (2..100).map(|number| format!(".edited-{number}"));
    for aside in [".edited".to_owned()].into_iter().chain(names).map(with) {
        if tree.kind(&aside)?.is_none() {
            return Ok(aside);
        }
    }
    Err(taken(target, "what a person has changed there"))
}

fn content(tree: &Root, file: &TreeFile, ask: &Configure) -> Result<String, Fault> {
    let template = match &file.source {
        FileSource::Text(text) => return Ok(text.clone()),
        FileSource::Template(text) => text.clone(),
        FileSource::TreeTemplate(path) => tree.read(&plain_path(path)?, TEMPLATE.most as u64)?,
    };
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let syntax = SyntaxConfig::builder().keep_trailing_newline(true).build();
    environment.set_syntax(syntax.cannot("set up templates")?);
    let mut rendered = Rendered(Vec::new());
    let done = environment
        .template_from_str(&template)
        .and_then(|template| {
            template
                .render_captured_to(&ask.variables, &mut rendered)
                .map(drop)
        });
    done.map_err(|error| {
        let line = error
            .line()
            .map(|line| format!(", line {line} of its template"))
            .unwrap_or_default();
        let what = error
            .detail()
            .map_or_else(|| error.kind().to_string(), str::to_owned);
        let known: Vec<&str> = ask.variables.keys().map(String::as_str).collect();
        Fault::new(format!(
            "cannot render {}{line}: {what}",
            file.target.display()
        ))
        .hint(format!("a template may use {}", known.join(", ")))
    })?;
    String::from_utf8(rendered.0).cannot(format_args!("render {}", file.target.display()))
}

/// What a template has become so far: no more than may be.
struct Rendered(Vec<u8>);

impl Write for Rendered {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.0.len() + bytes.len();
        RENDERED
            .check(length, "what the template makes")
            .map_err(io::Error::other)?;
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn make_link(tree: &Root, target: &Path, link: &TreeLink, claim: Claim) -> Result<(), Fault> {
    match tree.kind(target)? {
        None => {}
        Some(_) if claim == Claim::Replaces => remove(tree, target)?,
        // A copy is the workspace's to change: once it is there, it stays.
        Some(_) if link.copy => return Ok(()),
        Some(FileType::Symlink) => {}
        Some(FileType::Directory) => remove_empty(tree, target)?,
        Some(_) => return Err(taken(target, "a file")),
    }
    if link.copy {
        copy::copy(tree, &link.source, target)
    } else {
        tree.link(target, &link.source)
    }
}

fn remove(tree: &Root, target: &Path) -> Result<(), Fault> {
    let (parent, name) = tree.split(target)?;
    let parent = tree
        .open_at(&parent, FOLDER, Mode::empty())
        .map_err(|error| tree.fault("open", target, error))?;
    purge::remove_at(&parent, &name, &tree.path().join(target)).map(|_| ())
}

/// An empty folder holds no work.
fn remove_empty(tree: &Root, target: &Path) -> Result<(), Fault> {
    let (parent, name) = tree.split(target)?;
    let parent = tree
        .open_at(&parent, FOLDER, Mode::empty())
        .map_err(|error| tree.fault("open", target, error))?;
    unlinkat(&parent, &name, AtFlags::REMOVEDIR).map_err(|_| taken(target, "a folder with files"))
}

fn taken(target: &Path, by: &str) -> Fault {
    Fault::new(format!(
        "cannot write {}: {by} is in its place",
        target.display()
    ))
    .hint("move it away, or choose another place in the project's file")
}

#[cfg(test)]
mod tests {
    use crate::tree::configure::*;
    use cid_protocol::request::{RecordMade, TREE};
    use git2::{IndexAddOption, Repository, Signature};
    use std::{collections::BTreeMap, fs, os::unix::fs::symlink};

    /// A clone that tracks `kept.py` and `media/one`.
    fn clone() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join(TREE);
        let repository = Repository::init(&tree).unwrap();
        fs::create_dir(tree.join("media")).unwrap();
        fs::write(tree.join("kept.py"), "theirs").unwrap();
        fs::write(tree.join("media/one"), "theirs").unwrap();
        let mut index = repository.index().unwrap();
        index.add_all(["*"], IndexAddOption::DEFAULT, None).unwrap();
        index.write().unwrap();
        let content = repository.find_tree(index.write_tree().unwrap()).unwrap();
        let who = Signature::now("a", "a@example.com").unwrap();
        repository
            .commit(Some("HEAD"), &who, &who, "x", &content, &[])
            .unwrap();
        (dir, tree)
    }

    fn file(target: &str, source: FileSource, replace: bool) -> TreeFile {
        TreeFile {
            target: target.into(),
            source,
            replace,
            yields: false,
        }
    }

    fn link(source: &Path, target: &str, copy: bool, replace: bool) -> TreeLink {
        TreeLink {
            source: source.into(),
            target: target.into(),
            copy,
            replace,
            yields: false,
        }
    }

    fn ask(tree: &Path, files: Vec<TreeFile>, links: Vec<TreeLink>) -> Configure {
        let variables = BTreeMap::from([("name".to_owned(), "anna".to_owned())]);
        Configure {
            tree: tree.into(),
            files,
            links,
            variables,
        }
    }

    /// What git sees of it.
    fn dirt(tree: &Path) -> Vec<String> {
        let mut git = std::process::Command::new("git");
        let output = git
            .arg("-C")
            .arg(tree)
            .args(["status", "--porcelain"])
            .output()
            .unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn writes_unseen_by_git_and_twice_as_once() {
        let (dir, tree) = clone();
        let shared = dir.path().join("shared");
        fs::create_dir_all(shared.join("deep")).unwrap();
        fs::write(shared.join("deep/x"), "x").unwrap();
        fs::write(tree.join("local.j2"), "hello {{ name }}\n").unwrap();
        let ask = ask(
            &tree,
            vec![
                file(".env", FileSource::Text("A=1\n".into()), false),
                file(
                    "a b/[x].py",
                    FileSource::Template("{{ name }}".into()),
                    false,
                ),
                file(
                    "local.py",
                    FileSource::TreeTemplate("local.j2".into()),
                    false,
                ),
            ],
            vec![
                link(&shared, "linked", false, false),
                link(&shared, "copied", true, false),
            ],
        );
        configure(&ask).unwrap();
        fs::write(tree.join("copied/deep/x"), "mine").unwrap();
        configure(&ask).unwrap();
        assert_eq!(
            fs::read_to_string(tree.join("local.py")).unwrap(),
            "hello anna\n"
        );
        assert_eq!(fs::read_link(tree.join("linked")).unwrap(), shared);
        assert_eq!(
            fs::read_to_string(tree.join("copied/deep/x")).unwrap(),
            "mine"
        );
        assert_eq!(dirt(&tree), ["?? local.j2"]);
    }

    #[test]
    fn what_a_person_wrote_stays_and_what_is_named_no_more_goes() {
        let (dir, tree) = clone();
        let shared = dir.path().join("shared");
        fs::create_dir(&shared).unwrap();
        let text = |target: &str, text: &str| file(target, FileSource::Text(text.into()), false);
        let of = |env: &str, more: bool| {
            let mut files = vec![text(".env", env)];
            let mut links = Vec::new();
            if more {
                files.extend([text("old.py", "1"), text("mine.py", "1")]);
                links.push(link(&shared, "linked", false, false));
            }
            ask(&tree, files, links)
        };
        configure(&of("A=1\n", true)).unwrap();
        let directory = dir.path().to_owned();
        let own_account = false;
        crate::git::work::record(&RecordMade {
            directory,
            own_account,
        })
        .unwrap();
        fs::write(tree.join(".env"), "A=1\nB=2\n").unwrap();
        fs::write(tree.join("mine.py"), "2").unwrap();
        let done = configure(&of("A=3\n", false)).unwrap();
        let read = |name: &str| fs::read_to_string(tree.join(name)).unwrap();
        assert_eq!(
            (read(".env").as_str(), read("mine.py").as_str()),
            ("A=3\n", "2")
        );
        assert_eq!(read(".env.edited"), "A=1\nB=2\n");
        assert_eq!(done.edited, [(".env".into(), ".env.edited".into())]);
        assert_eq!(done.removed, [PathBuf::from("linked"), "old.py".into()]);
        assert_eq!(done.left, [PathBuf::from("mine.py")]);
        assert!(!tree.join("old.py").exists() && tree.join("linked").symlink_metadata().is_err());
        assert_eq!(dirt(&tree), [""; 0]);
        // Nothing more is told of it, and what is written anew is nobody's work.
        assert_eq!(
            configure(&of("A=4\n", false)).unwrap(),
            Configured::default()
        );
    }

    #[test]
    fn refuses_tracked_places_before_writing_anything() {
        let (dir, tree) = clone();
        for target in ["kept.py", "media", "media/one"] {
            let files = vec![file(".env", FileSource::Text(String::new()), false)];
            let fault = configure(&ask(
                &tree,
                files,
                vec![link(dir.path(), target, false, false)],
            ))
            .unwrap_err();
            assert!(fault.message.contains("tracks it"), "{fault}");
            assert!(!tree.join(".env").exists());
        }
    }

    #[test]
    fn replaces_tracked_places_when_told_and_git_overlooks_it() {
        let (dir, tree) = clone();
        let shared = dir.path().join("shared");
        fs::create_dir(&shared).unwrap();
        fs::write(shared.join("one"), "shared").unwrap();
        for (place, copy) in [("media", true), ("media", false)] {
            let files = vec![file("kept.py", FileSource::Text("ours".into()), true)];
            let ask = ask(&tree, files, vec![link(&shared, place, copy, true)]);
            configure(&ask).unwrap();
            assert_eq!(
                fs::read_to_string(tree.join("media/one")).unwrap(),
                "shared"
            );
            configure(&ask).unwrap();
            assert_eq!(dirt(&tree), [""; 0]);
            fs::remove_dir_all(tree.join("media")).unwrap();
        }
        assert_eq!(fs::read_to_string(tree.join("kept.py")).unwrap(), "ours");
    }

    #[test]
    fn says_which_variable_is_unknown() {
        let (_dir, tree) = clone();
        let files = vec![file(
            "x",
            FileSource::Template("a\n{{ nam }}".into()),
            false,
        )];
        let fault = configure(&ask(&tree, files, vec![])).unwrap_err();
        assert!(
            fault.message.contains("line 2") && fault.hint.unwrap().contains("name"),
            "{}",
            fault.message
        );
    }

    #[test]
    fn writes_through_no_link() {
        let (dir, tree) = clone();
        symlink(dir.path(), tree.join("out")).unwrap();
        let files = vec![file("out/x", FileSource::Text(String::new()), false)];
        assert!(configure(&ask(&tree, files, vec![])).is_err());
        assert!(!dir.path().join("x").exists());
    }

    #[test]
    fn a_template_makes_no_more_than_may_be() {
        let (_dir, tree) = clone();
        let made = |times: usize| {
            let template =
                format!("{{% for a in range({times}) %}}{{{{ 'x' * 1024 }}}}{{% endfor %}}");
            let file = file("made", FileSource::Template(template), false);
            configure(&ask(&tree, vec![file], Vec::new()))
        };
        assert!(made(RENDERED.most / 1024).is_ok());
        let said = made(RENDERED.most / 1024 + 1).unwrap_err().message;
        assert!(said.contains("cannot render made"), "{said}");
        assert_eq!(
            fs::metadata(tree.join("made")).unwrap().len(),
            RENDERED.most as u64
        );
    }
}
