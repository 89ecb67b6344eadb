//! A server that demands TLS and a password: whom the daemon trusts, and what it says when either is
//! wrong.
//!
//! The authority and its certificates are made by OpenSSL, which Debian's server brings along.

use crate::support::Rig;
use crate::support::asking::Said;
use crate::support::cluster::Cluster;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

const PASSWORD: &str = "correct horse";
const CONFIG: &str = "[req]\ndistinguished_name = name\nprompt = no\n[name]\nCN = test\n[ca]\n\
    basicConstraints = critical, CA:TRUE\n[server]\nbasicConstraints = CA:FALSE\n\
    subjectAltName = IP:";

/// An authority of the test's own.
struct Authority(tempfile::TempDir);

impl Authority {
    /// Makes one; the certificates it gives are for this address.
    fn of(address: &str) -> Authority {
        let authority = Authority(tempfile::tempdir().unwrap());
        fs::write(authority.path("config"), format!("{CONFIG}{address}\n")).unwrap();
        authority.openssl(
            "req -x509 -config config -extensions ca -days 2 -newkey ec \
             -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ca.key -out ca.pem",
        );
        authority
    }

    /// Has a server demand TLS, with a certificate of this authority.
    fn equips(&self, cluster: &Cluster) {
        self.openssl(
            "req -new -config config -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
             -keyout server.key -out server.csr",
        );
        self.openssl(
            "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
             -extfile config -extensions server -out server.pem",
        );
        let read = |name: &str| fs::read(self.path(name)).unwrap();
        cluster.install("server.crt", &read("server.pem"));
        cluster.install("server.key", &read("server.key"));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn openssl(&self, words: &str) {
        let mut command = Command::new("openssl");
        command.args(words.split_whitespace());
        let output = command.current_dir(self.0.path()).output().unwrap();
        assert!(output.status.success(), "{words}: {output:?}");
    }
}

/// An address of this machine that no other test run listens on.
fn own_address() -> String {
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    format!("127.{}.{middle}.{low}", 64 + high % 64)
}

/// A server that lets nobody in without TLS and the password.
async fn server(address: &str, authority: &Authority) -> Cluster {
    let settings = format!("-c ssl=on -c listen_addresses={address}");
    let rules = "hostssl all keeper 127.0.0.0/8 scram-sha-256\nhost all all 127.0.0.0/8 reject";
    let cluster = Cluster::alone_with(&settings, rules);
    authority.equips(&cluster);
    cluster.resume().unwrap();
    let role = format!("CREATE ROLE keeper LOGIN SUPERUSER PASSWORD '{PASSWORD}'");
    cluster.tamper(&role).await;
    cluster
}

/// A rig whose store is there, reached with these parameters and this password.
async fn rig(address: &str, parameters: &str, password: &str) -> Rig {
    let url = format!("postgres://keeper@{address}/postgres?{parameters}");
    let password = format!("{{ value = \"{password}\" }}");
    Rig::prepare_with(|mut setup| {
        setup.store_url = url;
        setup.store.insert("password".to_owned(), password);
        setup
    })
    .await
}

async fn migrates(address: &str, parameters: &str, password: &str) -> Said {
    let rig = rig(address, parameters, password).await;
    let said = rig.command(&["migrate"]).await;
    rig.close().await;
    said
}

#[tokio::test]
async fn a_server_is_trusted_for_its_name_by_the_authority_that_is_named_and_by_no_other() {
    let address = own_address();
    let (ours, others) = (Authority::of(&address), Authority::of(&address));
    let elsewhere = Authority::of("192.0.2.1");
    let ca = |authority: &Authority| authority.path("ca.pem").display().to_string();
    let cluster = server(&address, &ours).await;
    let right = format!("sslmode=verify-full&sslrootcert={}", ca(&ours));
    let mut daemon = rig(&address, &right, PASSWORD).await;
    daemon.restart().await.unwrap();
    daemon.place_and_pay("1001");
    daemon.is_settled_once("1001").await;
    let encrypted = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                     WHERE ssl AND usename = 'keeper'";
    assert!(cluster.count(encrypted).await > 0);
    daemon.close().await;

    for mode in ["verify-full", "verify-ca"] {
        let wrong = format!("sslmode={mode}&sslrootcert={}", ca(&others));
        let refused = migrates(&address, &wrong, PASSWORD).await;
        assert_eq!(refused.code, Some(69), "{mode}: {refused:?}");
        for words in ["invalid peer certificate", "sslrootcert in store.url"] {
            assert!(refused.err.contains(words), "{mode}: {refused:?}");
        }
        assert!(!refused.err.contains(PASSWORD), "{refused:?}");
    }
    // The server alone demands to be spoken to in private.
    let open = migrates(&address, "sslmode=disable", PASSWORD).await;
    assert_eq!(open.code, Some(69), "{open:?}");
    assert!(open.err.contains("pg_hba.conf"), "{open:?}");
    // What is not verified is not checked for its name or its authority.
    let blind = migrates(&address, "sslmode=require", PASSWORD).await;
    assert_eq!(blind.code, Some(0), "{blind:?}");
    cluster.halt().unwrap();

    elsewhere.equips(&cluster);
    cluster.resume().unwrap();
    let named = format!("sslrootcert={}", ca(&elsewhere));
    let full = format!("sslmode=verify-full&{named}");
    let refused = migrates(&address, &full, PASSWORD).await;
    assert_eq!(refused.code, Some(69), "{refused:?}");
    assert!(
        refused.err.contains("invalid peer certificate"),
        "{refused:?}"
    );
    let nameless = migrates(&address, &format!("sslmode=verify-ca&{named}"), PASSWORD).await;
    assert_eq!(nameless.code, Some(0), "{nameless:?}");

    let full = format!("sslmode=require&{named}");
    let wrong = "battery staple";
    let refused = migrates(&address, &full, wrong).await;
    assert_eq!(refused.code, Some(69), "{refused:?}");
    for words in ["password authentication failed", "store.password"] {
        assert!(refused.err.contains(words), "{refused:?}");
    }
    for secret in [wrong, PASSWORD, "%62%61%74"] {
        assert!(!refused.err.contains(secret), "{refused:?}");
        assert!(!refused.out.contains(secret), "{refused:?}");
    }
}
