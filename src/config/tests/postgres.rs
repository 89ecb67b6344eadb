//! A store on PostgreSQL: what its section holds, and that its password is in the address that is
//! connected to and nowhere else. What is refused stands in `fixtures/config/bad/store_*.toml`.

use super::*;
use crate::core::time::Span;
use secrecy::ExposeSecret;

fn named(config: &Config) -> &PostgresConfig {
    match &config.store {
        StoreConfig::Postgres(named) => named,
        StoreConfig::Sqlite { path } => panic!("a file: {}", path.display()),
    }
}

#[test]
fn every_key_reaches_its_value_and_the_password_is_escaped_in_the_address() {
    let config = accept("full.toml", &world());
    let store = named(&config);
    assert_eq!(store.connections, 24);
    assert_eq!(store.statement_timeout, Span::from_seconds(5));
    assert!(!store.session_features);
    assert_eq!(
        store.address().expose_secret(),
        "postgres://reconciled@db.example/reconciled?sslmode=verify-full\
         &sslrootcert=/etc/reconciled/db-ca.pem\
         &password=%70%61%73%74%65%64%20%26%3F%3D%25%2F%C3%A9"
    );
}

#[test]
fn a_file_elsewhere_is_named_by_its_path() {
    let world = world();
    let text = fixture("minimal.toml") + "\n[store]\nurl = \"sqlite:/srv/books.db\"\n";
    let config = Config::parse("a.toml", text.as_bytes(), false, &world.surroundings).unwrap();
    assert!(
        matches!(&config.store, StoreConfig::Sqlite { path } if path == "/srv/books.db"),
        "{:?}",
        config.store
    );
}

#[test]
fn an_address_alone_gets_the_defaults_and_stays_as_it_is() {
    let world = world();
    let text = fixture("minimal.toml");
    let url = "postgres:///reconciled?host=/run/postgresql";
    let text = format!("{text}\n[store]\nurl = \"{url}\"\n");
    let config = Config::parse("a.toml", text.as_bytes(), false, &world.surroundings).unwrap();
    let store = named(&config);
    assert_eq!(store.connections, 16);
    assert_eq!(store.statement_timeout, Span::from_seconds(20));
    assert!(store.session_features && store.password.is_none());
    assert_eq!(store.address().expose_secret(), url);
    assert!(
        !config
            .warnings
            .iter()
            .any(|warning| warning.code == Code::StoreNotVerified)
    );
}

#[test]
fn check_and_debug_show_where_the_password_comes_from_and_never_the_password() {
    let world = world();
    let config = accept("full.toml", &world);
    let text = check::text(&config);
    let json = check::json(&config).to_string();
    let debug = format!("{config:?} {:?}", named(&config).address());
    for shown in [&text, &json, &debug] {
        assert_keeps_secrets(shown, &world);
        assert!(!shown.contains("%70%61%73%74"), "{shown}");
    }
    let used = &check::json(&config)["store_use"];
    assert_eq!(used["password"], "set (from credential database_password)");
    assert_eq!(used["session_features"], false);
}
