//! Real installers, with one small package from the package index.

use crate::rig::Helper;
use cid_protocol::request::{
    BringUv, BuildPackages, Built, CheckPackages, Dependencies, DiscardPackages, RunCommand,
    SealPackages,
};
use git2::{Repository, Signature};
use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
};

/// A bare repository with one commit of these files; gives the commit.
fn repository(dir: &Path, files: &[(&str, &str)]) -> (PathBuf, String) {
    let path = dir.join("mirror.git");
    let repository = Repository::init_bare(&path).unwrap();
    let mut tree = repository.treebuilder(None).unwrap();
    for (name, text) in files {
        tree.insert(name, repository.blob(text.as_bytes()).unwrap(), 0o100_644)
            .unwrap();
    }
    let tree = repository.find_tree(tree.write().unwrap()).unwrap();
    let who = Signature::now("a", "a@example.com").unwrap();
    let commit = repository
        .commit(Some("refs/heads/main"), &who, &who, "x", &tree, &[])
        .unwrap();
    (path, commit.to_string())
}

/// With pip where there is no uv.
fn build(dir: &Path, text: &str) -> Result<Built, (String, String)> {
    build_by(dir, text, true)
}

fn build_by(dir: &Path, text: &str, or_pip: bool) -> Result<Built, (String, String)> {
    build_told(dir, text, or_pip, &[])
}

fn build_told(
    dir: &Path,
    text: &str,
    or_pip: bool,
    env: &[(&str, &str)],
) -> Result<Built, (String, String)> {
    let ask = asked(dir, text, or_pip, env);
    Helper::start(&dir.join("lock")).ask(ask)
}

fn asked(dir: &Path, text: &str, or_pip: bool, env: &[(&str, &str)]) -> BuildPackages {
    let mirror = dir.join("mirror.git");
    if mirror.exists() {
        fs::remove_dir_all(&mirror).unwrap();
    }
    let (mirror, commit) = repository(dir, &[("requirements.txt", text)]);
    fs::create_dir_all(dir.join("packages")).unwrap();
    BuildPackages {
        env: env
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        mirror,
        commit,
        app_dir: ".".into(),
        dependencies: vec![Dependencies::Requirements],
        install: Vec::new(),
        python: None,
        node: None,
        target: dir.join("packages/one"),
        tools_dir: dir.join("tools"),
        or_pip,
        may_bring_python: false,
        own_home: true,
    }
}

/// Twice: what is there stays.
fn bring_uv(dir: &Path) {
    let mut helper = Helper::start(&dir.join("lock"));
    let tools_dir = dir.join("tools");
    let mut bring = || {
        let ask = BringUv {
            env: BTreeMap::new(),
            tools_dir: tools_dir.clone(),
        };
        helper.ask(ask).unwrap();
        fs::metadata(tools_dir.join("uv/bin/uv")).unwrap().ino()
    };
    assert_eq!(bring(), bring());
}

const TOKEN: &str = "letters-and-figures-42";
const MAKE_WHEEL: &str = "import sys, zipfile
with zipfile.ZipFile(sys.argv[1], 'w') as wheel:
    info = 'six-9.0.dist-info/'
    wheel.writestr('six.py', '')
    wheel.writestr(info + 'METADATA', 'Metadata-Version: 2.1\\nName: six\\nVersion: 9.0\\n')
    wheel.writestr(info + 'WHEEL', 'Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
    wheel.writestr(info + 'RECORD', '')
";

/// A package index that has one package, below `/TOKEN/`; gives its port.
fn private_index(dir: &Path) -> u16 {
    let wheel = dir.join("six-9.0-py3-none-any.whl");
    let made = Command::new("python3")
        .args(["-c", MAKE_WHEEL])
        .arg(&wheel)
        .status();
    assert!(made.unwrap().success());
    let wheel = fs::read(wheel).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = String::new();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            reader.read_line(&mut request).unwrap();
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                line.clear();
            }
            let path = request.split(' ').nth(1).unwrap_or_default();
            let page = b"<a href=\"six-9.0-py3-none-any.whl\">six-9.0-py3-none-any.whl</a>";
            let (status, kind, body) = match path.strip_prefix(&format!("/{TOKEN}/simple/six/")) {
                Some("") => ("200 OK", "text/html", &page[..]),
                Some(_) => ("200 OK", "application/octet-stream", &wheel[..]),
                None => ("404 Not Found", "text/plain", &b""[..]),
            };
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            // An installer may have heard enough.
            let _ = stream
                .write_all(head.as_bytes())
                .and_then(|()| stream.write_all(body));
        }
    });
    port
}

#[test]
fn a_private_index_is_named_by_variables_that_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let index = |part: &str| {
        format!(
            "http://127.0.0.1:{}/{part}/simple/",
            private_index(dir.path())
        )
    };
    bring_uv(dir.path());
    for or_pip in [false, true] {
        let named = format!("--index-url {}\nsix==9.0\n", index("${INDEX_TOKEN}"));
        let token = [("INDEX_TOKEN", TOKEN), ("NO_PROXY", "127.0.0.1")];
        build_told(dir.path(), &named, or_pip, &token).unwrap();
        assert!(works(dir.path()));
        let (_, _) = build_told(dir.path(), &named, or_pip, &[]).unwrap_err();
        let (url, none) = (index(TOKEN), [("NO_PROXY", "127.0.0.1")]);
        let told = [
            ("PIP_INDEX_URL", &*url),
            ("UV_DEFAULT_INDEX", &*url),
            none[0],
        ];
        build_told(dir.path(), "six==9.0\n", or_pip, &told).unwrap();
        assert!(works(dir.path()));
        if !or_pip {
            // The index has no pip to put into the environment of `app.install`.
            let mut ask = asked(dir.path(), "", false, &told);
            ask.dependencies.clear();
            Helper::start(&dir.path().join("lock")).ask(ask).unwrap();
            let pip = dir.path().join("packages/one/bin/pip");
            assert!(
                Command::new(pip)
                    .arg("--version")
                    .status()
                    .unwrap()
                    .success()
            );
            // Only pip is left.
            fs::remove_dir_all(dir.path().join("tools")).unwrap();
        }
    }
}

fn works(dir: &Path) -> bool {
    let python = dir.join("packages/one/bin/python");
    Command::new(python)
        .args(["-I", "-c", "import six"])
        .status()
        .unwrap()
        .success()
}

/// Every module that was installed has its bytecode: the first to use it may not be able to write.
fn is_compiled(dir: &Path) -> bool {
    let find = "find packages/one/lib -name 'six*.pyc' | grep -q .";
    Command::new("sh")
        .args(["-c", find])
        .current_dir(dir)
        .status()
        .unwrap()
        .success()
}

#[test]
fn by_uv_that_somebody_else_brings_in() {
    let dir = tempfile::tempdir().unwrap();
    let first = build_by(dir.path(), "six\n", false).unwrap();
    let has_its_own = Command::new("uv").arg("--version").output();
    if has_its_own.is_ok_and(|output| output.status.success()) {
        assert_eq!(first, Built::Complete);
    } else {
        assert_eq!(first, Built::WantsUv);
        assert!(!dir.path().join("tools").exists());
    }
    bring_uv(dir.path());
    old_packages(dir.path());
    let built = build_by(dir.path(), "six\n", false).unwrap();
    assert_eq!(built, Built::Complete);
    assert!(works(dir.path()) && is_compiled(dir.path()));
    let target = dir.path().join("packages/one");
    assert!(!target.join(".cid-build").exists());
    let find = ["-type", "f", "-links", "+1"];
    let linked = Command::new("find").arg(&target).args(find).output();
    assert_eq!(linked.unwrap().stdout, b"", "files that are elsewhere too");
    // What an earlier build left is not believed. A link to the machine's own Python: removed, not
    // written to.
    fs::remove_file(target.join("bin/python")).unwrap();
    build_by(dir.path(), "six\n", false).unwrap();
    assert!(works(dir.path()));
    seal_and_attack(dir.path());
}

const MAKE_ODD: &str = "import io, sys, tarfile, zipfile
folder = sys.argv[1]
def source(name, version, setup):
    with tarfile.open(f'{folder}/{name}-{version}.tar.gz', 'w:gz') as archive:
        for file, text in {**setup, 'PKG-INFO': f'Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n'}.items():
            info = tarfile.TarInfo(f'{name}-{version}/{file}')
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
backend = '[build-system]\\nrequires = []\\nbuild-backend = \"b\"\\nbackend-path = [\".\"]\\n'
source('odd', '1.0', {'pyproject.toml': backend, 'b.py': 'raise SystemExit(\"no code for this Python\")\\n'})
with zipfile.ZipFile(f'{folder}/odd-1.0-cp39-none-any.whl', 'w') as wheel:
    wheel.writestr('odd-1.0.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: odd\\nVersion: 1.0\\n')
    wheel.writestr('odd-1.0.dist-info/WHEEL', 'Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: cp39-none-any\\n')
    wheel.writestr('odd-1.0.dist-info/RECORD', '')
old = 'from setuptools import setup, convert_path\\nimport pkg_resources\\nsetup(name=\"old\", version=\"1.0\", py_modules=[\"old\"])\\n'
source('old', '1.0', {'setup.py': old, 'old.py': ''})
";

/// A package that is built for Python 3.9 alone, and one that wants setuptools of its time.
fn old_packages(dir: &Path) {
    let index = dir.join("index");
    fs::create_dir(&index).unwrap();
    let made = Command::new("python3")
        .args(["-c", MAKE_ODD])
        .arg(&index)
        .status();
    assert!(made.unwrap().success());
    let index = index.to_str().unwrap();
    // No other Python of the machine's.
    let told = [("UV_FIND_LINKS", index), ("PYENV_ROOT", "/none")];
    let ask = |ask: BuildPackages| Helper::start(&dir.join("lock")).ask(ask);
    let odd = || asked(dir, "odd==1.0\n", false, &told);
    let (fault, hint) = ask(odd()).unwrap_err();
    assert!(
        fault.contains("odd==1.0 cannot be built with Python 3."),
        "{fault}"
    );
    assert!(hint.ends_with("\n[app]\npython = \"3.9\""), "{hint}");
    // It is fetched where that is allowed, and for one that is named no other is looked for.
    let may = BuildPackages {
        may_bring_python: true,
        ..odd()
    };
    assert_eq!(ask(may).unwrap(), Built::WantsPython(9));
    let named = BuildPackages {
        python: Some("3.99".into()),
        ..odd()
    };
    let (fault, _) = ask(named).unwrap_err();
    assert!(fault.contains("asks for 3.99"), "{fault}");
    build_told(dir, "old==1.0\n", false, &told).unwrap();
}

/// Ordinary tools fail on a sealed environment, root's too, and the helper removes it all the same.
fn seal_and_attack(dir: &Path) {
    let target = dir.join("packages/one");
    let mut helper = Helper::start(&dir.join("lock"));
    let seal = SealPackages { target };
    helper.ask(seal.clone()).unwrap();
    let target = seal.target;
    for attack in [
        "$UV pip uninstall --python bin/python six",
        "$UV pip install --python bin/python six==1.16.0",
        "bin/python -m ensurepip",
        "rm lib/python*/site-packages/six.py",
        "echo x >> lib/python*/site-packages/six.py",
        "touch bin/new",
        "mv lib other",
    ] {
        let command = format!(
            "UV=$(command -v uv || echo {}/tools/uv/bin/uv); {attack}",
            dir.display()
        );
        let ask = RunCommand {
            alone: false,
            command: vec!["sh".into(), "-c".into(), command],
            dir: target.clone(),
            env: BTreeMap::from([
                ("PATH".into(), std::env::var("PATH").unwrap()),
                ("HOME".into(), dir.display().to_string()),
            ]),
        };
        let exited = helper.ask(ask).unwrap();
        assert_ne!(exited.status, 0, "{attack}: {:?}", helper.lines);
        let check = CheckPackages {
            target: target.clone(),
            closely: true,
        };
        assert_eq!(helper.ask(check).unwrap().damage, None, "{attack}");
    }
    assert!(works(dir));
    let discard = DiscardPackages {
        target: target.clone(),
    };
    helper.ask(discard).unwrap();
    assert!(!target.exists());
}

#[test]
fn by_pip_where_uv_cannot_be_had() {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path(), "six\n").unwrap();
    assert!(works(dir.path()) && is_compiled(dir.path()));
}

#[test]
fn a_failed_one_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let (message, hint) = build(dir.path(), "six==0.0.0.0.1\n").unwrap_err();
    assert!(
        message.starts_with("cannot install the dependencies: ") && !hint.is_empty(),
        "{message}"
    );
    assert!(!dir.path().join("packages/one").exists());
}
