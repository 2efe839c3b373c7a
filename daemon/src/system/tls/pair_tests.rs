use super::*;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use std::fs;

const DOMAIN: &str = "shop.example.org";

struct Files {
    dir: tempfile::TempDir,
}

impl Files {
    fn new(names: &[&str], from: i32, to: i32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
        let key = KeyPair::generate().unwrap();
        let files = Self { dir };
        let certificate = params.self_signed(&key).unwrap().pem();
        files.write("c.pem", &certificate);
        files.write("k.pem", &key.serialize_pem());
        files
    }

    fn good() -> Self {
        Self::new(&["shop.example.org", "*.shop.example.org"], 2020, 2090)
    }

    #[expect(clippy::disallowed_methods, reason = "the operator's own file")]
    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn read(&self) -> Result<Pair, Fault> {
        let now = "2026-11-22T00:00:00Z".parse().unwrap();
        Pair::read(&self.path("c.pem"), &self.path("k.pem"), DOMAIN, now)
    }

    #[track_caller]
    fn refused(&self, why: &str) {
        let fault = self.read().err().unwrap();
        assert!(fault.message.contains(why), "{fault}");
        assert!(fault.hint.is_some());
    }
}

#[test]
fn a_good_pair_is_one_file_that_reads_back() {
    let files = Files::good();
    let pair = files.read().unwrap();
    assert_eq!(pair.not_after().to_string(), "2090-01-01T00:00:00Z");
    let copy = pair.to_pem();
    files.write("c.pem", &copy);
    files.write("k.pem", &copy);
    assert_eq!(files.read().unwrap().to_pem(), copy);
    assert_eq!(Pair::leaf_of(&files.path("c.pem")).unwrap(), pair.chain[0]);
}

#[test]
fn a_pair_that_is_not_good_now_says_why() {
    Files::new(&["*.shop.example.org"], 2010, 2020).refused("expired at 2020-01-01");
    Files::new(&["*.shop.example.org"], 2040, 2050).refused("not valid before 2040-01-01");
    let other = Files::new(&["shop.example.org", "*.example.org"], 2020, 2090);
    other.refused("it is for shop.example.org, *.example.org and not for *.shop.example.org");
    Files::new(&[], 2020, 2090).refused("it names no host");
}

#[test]
fn files_that_are_no_pair_are_refused() {
    let files = Files::good();
    let key = fs::read_to_string(files.path("k.pem")).unwrap();
    let other = KeyPair::generate().unwrap().serialize_pem();
    files.write("k.pem", &other);
    files.refused("does not belong to the certificate");
    files.write(
        "k.pem",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    files.refused("no private key in it");
    files.write(
        "k.pem",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    );
    files.refused("of no kind that cid knows");
    fs::remove_file(files.path("k.pem")).unwrap();
    files.refused("cannot read the key");
    files.write("k.pem", &key);
    files.write("c.pem", &key);
    files.refused("there is none in it");
    files.write(
        "c.pem",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    files.refused("cannot be read");
    files.write("c.pem", &"x".repeat(300 * 1024));
    files.refused("larger than");
    fs::remove_file(files.path("c.pem")).unwrap();
    nix::unistd::mkfifo(&files.path("c.pem"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    files.refused("it is not a file");
}
