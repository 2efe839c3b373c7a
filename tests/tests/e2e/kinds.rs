//! Apps of several kinds with the minimal project file, installed by their own tools to an answering page.

use crate::stage::{ANNA, BERT, Stage, Workspace};
use cid_testkit::{GitServer, Tree};
use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

/// Answers with its package's word and the workspace's name.
const SERVER: &str = r#"const word = require("is-odd")(3) ? "odd" : "even";
require("http").createServer((_, answer) => answer.end(word + " from " + process.env.CID_WORKSPACE))
    .listen(process.env.PORT, "127.0.0.1");
"#;
const NPM: &str = r#"{"name": "x", "version": "1.0.0", "private": true, "scripts": {"start": "node built.js",
    "build": "cp server.js built.js"}, "dependencies": {"is-odd": "3.0.1"}}"#;
const NPM_LOCK: &str = r#"{"name": "x", "version": "1.0.0", "lockfileVersion": 3, "requires": true, "packages": {
    "": {"name": "x", "version": "1.0.0", "dependencies": {"is-odd": "3.0.1"}},
    "node_modules/is-number": {"version": "6.0.0", "license": "MIT",
        "integrity": "sha512-Wu1VHeILBK8KAWJUAiSZQX94GmOE45Rg6/538fKwiloUu21KncEkYGPqob2oSZ5mUT73vLGrHQjKw3KMPwfDzg=="},
    "node_modules/is-odd": {"version": "3.0.1", "license": "MIT", "dependencies": {"is-number": "^6.0.0"},
        "integrity": "sha512-CQpnWPrDwmP1+SMHXZhtLtJv90yiyVfluGsX5iNCVkrhQtU3TQHsUWPG9wkdk9Lgd5yNpAg9jQEo90CBaXgWMA=="}}}"#;

fn node() -> Tree {
    Tree::default()
        .with("package.json", NPM)
        .with("package-lock.json", NPM_LOCK)
        .with("server.js", SERVER)
        .with(".gitignore", "node_modules\nbuilt.js\n")
}

#[test]
fn packages_of_npm_are_installed_once_and_linked_into_each_tree() {
    let stage = Stage::of(&node(), "");
    let before = stage.snapshot();
    let anna = stage.create(ANNA);
    let bert = stage.create(BERT);
    let file = Path::new("node_modules/is-odd/index.js");
    let meta = |tree: &Path| fs::metadata(tree.join(file)).unwrap();
    let (one, other) = (meta(&anna.tree()), meta(&bert.tree()));
    assert_eq!(one.ino(), other.ino(), "the same file");
    assert_eq!(one.permissions().mode() & 0o222, 0, "nobody writes it");
    // The folder is the workspace's own: a file in it can be replaced, and the other one has its own still.
    let place = anna.tree().join(file);
    fs::remove_file(&place).unwrap();
    fs::write(&place, "module.exports = () => false;").unwrap();
    stage.cictl_ends(0, &["restart", ANNA]);
    assert!(stage.get(&anna, "/").body.starts_with("even"));
    assert!(stage.get(&bert, "/").body.starts_with("odd"));
    assert_eq!(meta(&bert.tree()).ino(), other.ino());
    assert_eq!(bert.git(&["status", "--porcelain"]), "");
    // What cid put there is nobody's work.
    stage.delete(BERT);
    stage.cictl_ends(0, &["delete", ANNA, "--yes", "--with-branch", "--discard"]);
    stage.assert_same(&before);
}

/// Answers with what it finds installed.
const WSGI: &str = r#"import http.server, os
import six

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"six {six.__version__} for {os.environ['CID_WORKSPACE']}".encode())

http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"#;
const POETRY: &str = r#"[tool.poetry]
package-mode = false

[tool.poetry.dependencies]
python = ">=3.9"
six = "*"
"#;
const POETRY_LOCK: &str = r#"[[package]]
name = "six"
version = "1.17.0"
description = ""
optional = false
python-versions = ">=2.7"
groups = ["main"]
files = [
    {file = "six-1.17.0-py2.py3-none-any.whl", hash = "sha256:4721f391ed90541fddacab5acf947aa0d3dc7d27b2e1e8eda2be8970586c3274"},
]

[metadata]
lock-version = "2.1"
python-versions = ">=3.9"
content-hash = "a94e90918c8f56edd12238eb9702a85f20957c2d1c4d0a82fe71ea16f9a37728"
"#;
const PIPFILE: &str = "[packages]\nsix = \"==1.17.0\"\n";
const PIPFILE_LOCK: &str = r#"{"_meta": {"hash": {"sha256": "84c2e21771457e7e60048cd7d81874d5f8210db4c93d03494250d6e942ed338c"},
    "pipfile-spec": 6, "requires": {}, "sources": []}, "develop": {}, "default": {"six": {"version": "==1.17.0",
    "hashes": ["sha256:4721f391ed90541fddacab5acf947aa0d3dc7d27b2e1e8eda2be8970586c3274"]}}}"#;
const PNPM: &str = r#"{"name": "x", "version": "1.0.0", "private": true, "scripts": {"start": "node server.js"},
    "dependencies": {"is-odd": "3.0.1"}}"#;
const PNPM_LOCK: &str = r#"lockfileVersion: '9.0'

settings:
  autoInstallPeers: true
  excludeLinksFromLockfile: false

importers:

  .:
    dependencies:
      is-odd:
        specifier: 3.0.1
        version: 3.0.1

packages:

  is-number@6.0.0:
    resolution: {integrity: sha512-Wu1VHeILBK8KAWJUAiSZQX94GmOE45Rg6/538fKwiloUu21KncEkYGPqob2oSZ5mUT73vLGrHQjKw3KMPwfDzg==}
    engines: {node: '>=0.10.0'}

  is-odd@3.0.1:
    resolution: {integrity: sha512-CQpnWPrDwmP1+SMHXZhtLtJv90yiyVfluGsX5iNCVkrhQtU3TQHsUWPG9wkdk9Lgd5yNpAg9jQEo90CBaXgWMA==}
    engines: {node: '>=4'}

snapshots:

  is-number@6.0.0: {}

  is-odd@3.0.1:
    dependencies:
      is-number: 6.0.0
"#;
const COMPOSER: &str = r#"{"autoload": {"psr-4": {"App\\": "lib/"}}}"#;
const COMPOSER_LOCK: &str = r#"{"content-hash": "x", "packages": [], "packages-dev": [], "aliases": [],
    "minimum-stability": "stable", "stability-flags": [], "prefer-stable": false, "prefer-lowest": false,
    "platform": [], "platform-dev": [], "plugin-api-version": "2.3.0"}"#;

const MANAGE: &str = r#"import os
from django.core.management import execute_from_command_line
import sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
execute_from_command_line(sys.argv)
"#;
/// What refuses a workspace's visitors, and does not start without variables.
const SETTINGS: &str = r#"from .base import *
SECRET_KEY = os.environ["SECRET_KEY"]
ALLOWED_HOSTS = ["www.example.org"]
SECURE_SSL_REDIRECT = True
"#;
const BASE: &str = r#"import os
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ["DATABASE_URL"].removeprefix("sqlite:///"),
    }
}
INSTALLED_APPS = ["django.contrib.contenttypes"]
MIDDLEWARE = ["django.middleware.security.SecurityMiddleware", "django.middleware.common.CommonMiddleware"]
ROOT_URLCONF = "shop.urls"
"#;
const URLS: &str = r#"from django.contrib.contenttypes.models import ContentType
from django.http import HttpResponse
from django.urls import path
urlpatterns = [path("", lambda request: HttpResponse(f"{ContentType.objects.count()} at {request.get_host()}"))]
"#;

#[test]
fn each_of_these_kinds_answers_with_the_minimal_file() {
    let python = || {
        Tree::default()
            .with("Procfile", "web: python app.py\n")
            .with("app.py", WSGI)
    };
    let mut kinds = vec![
        (
            "poetry",
            "six 1.17.0 for anna",
            python()
                .with("pyproject.toml", POETRY)
                .with("poetry.lock", POETRY_LOCK),
        ),
        (
            "pipenv",
            "six 1.17.0 for anna",
            python()
                .with("Pipfile", PIPFILE)
                .with("Pipfile.lock", PIPFILE_LOCK),
        ),
        (
            "pnpm",
            "odd from anna",
            Tree::default()
                .with("package.json", PNPM)
                .with("pnpm-lock.yaml", PNPM_LOCK)
                .with("server.js", SERVER),
        ),
        (
            "django",
            "1 at anna",
            Tree::default()
                .with("requirements.txt", "django==5.2.*\n")
                .with("manage.py", MANAGE)
                .with("shop/__init__.py", "")
                .with("shop/settings.py", SETTINGS)
                .with("shop/base.py", BASE)
                .with("shop/urls.py", URLS),
        ),
        (
            "static",
            "a page",
            Tree::default().with("index.html", "<p>a page</p>"),
        ),
    ];
    if Path::new("/usr/bin/composer").exists() {
        let tree = Tree::default()
            .with("composer.json", COMPOSER)
            .with("composer.lock", COMPOSER_LOCK)
            .with(
                "lib/Page.php",
                "<?php namespace App; class Page { const TEXT = 'loaded'; }",
            )
            .with(
                "public/index.php",
                "<?php require '../vendor/autoload.php'; echo App\\Page::TEXT, ' by php';",
            );
        kinds.push(("php", "loaded by php", tree));
    } else {
        cid_testkit::skip("the case of PHP needs composer");
    }
    let stage = Stage::hello();
    for (name, said, tree) in kinds {
        let server = GitServer::local_tree(stage.sandbox.home().unwrap(), name, &tree).unwrap();
        stage
            .sandbox
            .write_project(name, &server.project_toml(name, ""))
            .unwrap();
        stage.cictl_ends(0, &["project", "check", name]);
        stage.cictl_ends(0, &["create", ANNA, "-p", name]);
        let workspace = Workspace {
            json: stage.json(&["show", ANNA, "-p", name]),
        };
        let page = stage.get(&workspace, "/").body;
        assert!(page.contains(said), "{name}: {page}");
        stage.cictl_ends(0, &["delete", ANNA, "-p", name, "--yes", "--with-branch"]);
    }
}
