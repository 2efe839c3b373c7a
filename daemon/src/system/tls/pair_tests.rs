use super::*;
use proptest::prelude::*;
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

    fn write(&self, name: &str, text: &str) {
        self.write_bytes(name, text.as_bytes());
    }

    #[expect(clippy::disallowed_methods, reason = "the operator's own file")]
    fn write_bytes(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn read(&self) -> Result<Pair, Fault> {
        self.read_for(&[&format!("*.{DOMAIN}")])
    }

    fn read_for(&self, hosts: &[&str]) -> Result<Pair, Fault> {
        let now = "2026-11-22T00:00:00Z".parse().unwrap();
        let hosts: Vec<String> = hosts.iter().map(|&host| host.to_owned()).collect();
        Pair::read(&self.path("c.pem"), &self.path("k.pem"), &hosts, now)
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
fn a_mark_before_the_text_is_passed_over_and_a_missing_end_is_named() {
    let files = Files::good();
    let good = fs::read_to_string(files.path("c.pem")).unwrap();
    files.write("c.pem", &format!("\u{feff}{good}"));
    assert!(files.read().is_ok());
    let (cut, _) = good.split_once("-----END").unwrap();
    files.write("c.pem", cut);
    files.refused("it is cut off: its line -----END CERTIFICATE-----");
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
fn a_stages_certificate_is_for_each_of_its_names() {
    let files = Files::new(&["www.shop.org", "*.eu.shop.org"], 2020, 2090);
    for good in [&["www.shop.org"][..], &["www.shop.org", "a.eu.shop.org"]] {
        assert!(files.read_for(good).is_ok(), "{good:?}");
    }
    for (bad, first) in [
        (&["www.shop.org", "shop.org"][..], "shop.org"),
        (&["a.b.eu.shop.org"], "a.b.eu.shop.org"),
        (&["eu.shop.org"], "eu.shop.org"),
        (&["ww.shop.org"], "ww.shop.org"),
    ] {
        let why = files.read_for(bad).err().unwrap().message;
        assert!(why.ends_with(&format!("and not for {first}")), "{why}");
    }
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

/// A pair and its parts, made once: keys take their time.
struct Good {
    files: Files,
    certificate: String,
    key: String,
    der: Vec<u8>,
}

impl Good {
    fn new() -> Self {
        let files = Files::good();
        let read = |name| fs::read_to_string(files.path(name)).unwrap();
        let der = CertificateDer::from_pem_slice(read("c.pem").as_bytes()).unwrap();
        Self {
            certificate: read("c.pem"),
            key: read("k.pem"),
            der: der.to_vec(),
            files,
        }
    }

    /// Reads these two; whatever they are, the answer tells nothing of the key.
    fn read(&self, certificate: &[u8], key: &[u8]) -> Result<Pair, Fault> {
        self.files.write_bytes("c.pem", certificate);
        self.files.write_bytes("k.pem", key);
        let read = self.files.read();
        if let Err(fault) = &read {
            assert!(fault.hint.is_some(), "{fault}");
            let secret = self.key.lines().nth(1).unwrap();
            let said = format!("{fault} {:?}", fault.hint);
            assert!(!said.contains(&secret[..16]), "{said}");
        }
        read
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let mut text = String::new();
    push_pem(&mut text, label, der);
    text
}

#[test]
fn a_file_that_was_cut_off_is_no_pair() {
    let good = Good::new();
    for part in [&good.certificate, &good.key] {
        let end = part.rfind("-----END").unwrap();
        for length in (0..end).step_by(9) {
            let (certificate, key) = match std::ptr::eq(part, &good.certificate) {
                true => (&part[..length], &*good.key),
                false => (&*good.certificate, &part[..length]),
            };
            let read = good.read(certificate.as_bytes(), key.as_bytes());
            assert!(read.is_err(), "{length} bytes of {}", part.len());
        }
    }
    // Whole lines around half a certificate.
    for length in (0..good.der.len()).step_by(5) {
        let half = pem("CERTIFICATE", &good.der[..length]);
        assert!(good.read(half.as_bytes(), good.key.as_bytes()).is_err());
    }
    assert!(
        good.read(good.certificate.as_bytes(), good.key.as_bytes())
            .is_ok()
    );
}

#[test]
fn what_is_no_ordinary_file_is_refused_at_once() {
    let good = Good::new();
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    std::os::unix::fs::symlink("/dev/zero", path("endless")).unwrap();
    std::os::unix::fs::symlink(path("loop"), path("loop")).unwrap();
    std::os::unix::fs::symlink(path("nowhere"), path("dangling")).unwrap();
    fs::create_dir(path("folder")).unwrap();
    nix::unistd::mkfifo(&path("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
    // Takes no room on the disk, and would in memory.
    let huge = fs::File::create(path("huge")).unwrap();
    huge.set_len(1 << 40).unwrap();
    fs::File::create(path("empty")).unwrap();
    let many = good.certificate.repeat(1000);
    std::io::Write::write_all(
        &mut fs::File::create(path("many")).unwrap(),
        many.as_bytes(),
    )
    .unwrap();
    let now = "2026-11-22T00:00:00Z".parse().unwrap();
    let (c, k) = (good.files.path("c.pem"), good.files.path("k.pem"));
    for name in [
        "endless",
        "loop",
        "dangling",
        "folder",
        "pipe",
        "socket",
        "huge",
        "empty",
        "many",
        "not-there",
        "not/there",
    ] {
        for (certificate, key) in [(&path(name), &k), (&c, &path(name))] {
            let hosts = [format!("*.{DOMAIN}")];
            let fault = Pair::read(certificate, key, &hosts, now).err().unwrap();
            assert!(
                fault.message.contains(name) && fault.hint.is_some(),
                "{name}: {fault}"
            );
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_get_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..600), label in "(CERTIFICATE|PRIVATE KEY|RSA PRIVATE KEY|EC PRIVATE KEY|\\PC{0,9})") {
        let good = Good::new();
        let framed = pem(&label, &bytes);
        for bytes in [&bytes[..], framed.as_bytes()] {
            prop_assert!(good.read(bytes, good.key.as_bytes()).is_err());
            prop_assert!(good.read(good.certificate.as_bytes(), bytes).is_err());
        }
    }

    #[test]
    fn a_certificate_with_another_byte_gets_an_answer(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let good = Good::new();
        let mut der = good.der.clone();
        for (place, byte) in changes {
            let place = place.index(der.len());
            der[place] = byte;
        }
        // A name of the issuer's or the signature may well be another.
        drop(good.read(pem("CERTIFICATE", &der).as_bytes(), good.key.as_bytes()));
    }
}
