//! What is wrong with certificates and keys is told by file, at the start and by `check`.

use std::os::unix::fs::PermissionsExt as _;

use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;

use crate::support::binary::Home;
use crate::support::tls::{Authority, paths};

/// A configuration whose one certificate is `a` in `folder`.
fn home(folder: &TempDir) -> Home {
    let (cert, key) = paths(folder.path(), "a");
    let home = Home::new("");
    home.write(
        "keyward.yaml",
        &format!(
            "listeners:\n  - name: public\n    address: \"127.0.0.1:0\"\n    tls: {{ certificates: [{{ cert_file: {}, \
             key_file: {} }}] }}\n\
             admin: {{ address: \"127.0.0.1:0\" }}\n\
             upstreams: [{{ name: api, endpoints: [{{ url: \"http://127.0.0.1:9\" }}] }}]\n\
             routes: [{{ name: all, match: {{ path_prefix: / }}, upstream: api }}]\n",
            cert.display(),
            key.display()
        ),
    );
    home
}

#[test]
fn what_cannot_be_used_is_refused_with_its_file_and_the_reason() {
    let (authority, folder) = (Authority::new(), TempDir::new().unwrap());
    let good = authority.issue(&["a.test"]);
    let other = authority.issue(&["a.test"]);
    let cut = |text: &str| text[..text.len() / 2].to_owned();
    let sealed = good.key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let cases: [(&str, &str, &str); 10] = [
        ("", &good.key, "a.pem: is empty"),
        ("nonsense", &good.key, "a.pem: holds no certificate: there is no line -----BEGIN CERTIFICATE-----"),
        (&cut(&good.cert), &good.key, "a.pem: is cut off"),
        (&good.key, &good.key, "a.pem: holds no certificate"),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            &good.key,
            "a.pem: the first certificate in it cannot be read",
        ),
        (&good.cert, "", "a.key: is empty"),
        (&good.cert, &good.cert, "a.key: holds a certificate and no private key"),
        (&good.cert, &cut(&good.key), "a.key: is cut off"),
        (&good.cert, &sealed, "a.key: the key is encrypted"),
        (&good.cert, &other.key, "a.key: this private key is not that of the certificate in"),
    ];
    let home = home(&folder);
    for (cert, key, expected) in cases {
        std::fs::write(paths(folder.path(), "a").0, cert).unwrap();
        std::fs::write(paths(folder.path(), "a").1, key).unwrap();
        for command in ["check", "serve"] {
            let done = home.run(&[command]);
            assert_eq!(done.code, Some(1), "{command}: {expected}: {}", done.stderr);
            assert!(
                done.stderr.contains("listener public: ") && done.stderr.contains(expected),
                "{command}: {expected}: {}",
                done.stderr
            );
            let secret = key.lines().nth(1).unwrap_or("no key");
            assert!(!done.stderr.contains(secret), "{}", done.stderr);
        }
    }
    std::fs::remove_file(paths(folder.path(), "a").0).unwrap();
    let done = home.run(&["check"]);
    assert!(done.stderr.contains("a.pem: there is no such file"), "{}", done.stderr);
    // Who only makes keys need not be able to read these.
    home.run(&["accounts", "list"]);
}

type Change = dyn Fn(&mut CertificateParams);

#[test]
fn what_is_probably_not_meant_so_is_warned_of() {
    let (authority, folder) = (Authority::new(), TempDir::new().unwrap());
    let home = home(&folder);
    let tomorrow = time::OffsetDateTime::now_utc() + time::Duration::days(1);
    let cases: [(&[&str], &Change, u32, &str); 5] = [
        (&["a.test"], &|_| {}, 0o600, ""),
        (&["a.test"], &|_| {}, 0o644, "everybody on this machine can read the private key"),
        (&[], &|_| {}, 0o600, "names no host"),
        (
            &["a.test"],
            &|params| params.not_after = rcgen::date_time_ymd(2020, 1, 1),
            0o600,
            "the certificate expired on 2020-01-01T00:00:00Z",
        ),
        (&["a.test"], &move |params| params.not_after = tomorrow, 0o600, "the certificate expires on "),
    ];
    for (hosts, change, mode, expected) in cases {
        let key = KeyPair::generate().unwrap();
        authority.certify(hosts, &key, change).write(folder.path(), "a");
        let file = paths(folder.path(), "a").1;
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
        let done = home.run(&["check"]);
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        assert_eq!(done.stderr.contains("warning: "), !expected.is_empty(), "{}", done.stderr);
        assert!(done.stderr.contains(expected), "{expected}: {}", done.stderr);
    }
}
