//! What the machine around the file does to it: modes, missing files and credentials, sizes; and
//! lists of problems that grow long.

use super::*;
use secrecy::ExposeSecret;
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_secret_may_stand_in_a_file_that_is_its_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reconciled.toml");
    let value = format!("{{ value = \"{}\" }}", whsec("v"));
    let text = fixture("minimal.toml").replace("{ credential = \"klompen_secret\" }", &value);
    fs::write(&path, text).unwrap();
    let world = world();
    for (mode, is_accepted) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        match Config::load(&path, &world.surroundings) {
            Ok(config) => {
                assert!(is_accepted, "{mode:o}");
                let shop = &config.shops[&ShopId::parse("klompen").unwrap()];
                assert_eq!(shop.secret.value().expose_secret(), whsec("v"));
                assert_eq!(shop.secret.to_string(), "set (from the configuration file)");
            }
            Err(errors) => {
                assert!(!is_accepted, "{mode:o}: {errors}");
                assert_eq!(errors.problems[0].code, Code::ExposedSecret);
            }
        }
    }
}

#[test]
fn a_secrets_file_that_everyone_can_read_is_remarked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    fs::write(&path, whsec("f")).unwrap();
    let source = format!("{{ file = {:?} }}", path.to_str().unwrap());
    let text = fixture("minimal.toml").replace("{ credential = \"klompen_secret\" }", &source);
    let world = world();
    let mut remarks = Vec::new();
    for mode in [0o640, 0o644] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let config = Config::parse("a.toml", text.as_bytes(), false, &world.surroundings).unwrap();
        let shop = &config.shops[&ShopId::parse("klompen").unwrap()];
        assert_eq!(shop.secret.origin(), &Origin::File(path.clone()));
        let codes: Vec<Code> = config.warnings.iter().map(|remark| remark.code).collect();
        remarks.push(codes);
    }
    let expected = [
        vec![Code::NoAdminToken],
        vec![Code::NoAdminToken, Code::ExposedSecretFile],
    ];
    assert_eq!(remarks, expected);
}

#[test]
fn a_file_that_cannot_be_read_is_one_problem() {
    let folder = tempfile::tempdir().unwrap();
    let load = |path: PathBuf| {
        let errors = Config::load(&path, &world().surroundings).unwrap_err();
        let text = errors.to_string();
        let prefix = format!("{}", folder.path().display());
        text.replace(&prefix, "FOLDER")
    };
    assert_eq!(
        load(folder.path().join("none.toml")),
        "FOLDER/none.toml: error[unreadable_file]: the file cannot be read: no such file\n\n\
         configuration refused: 1 problem"
    );
    assert_eq!(
        load(folder.path().to_owned()),
        "FOLDER: error[unreadable_file]: the file cannot be read: it is a directory\n\n\
         configuration refused: 1 problem"
    );
    let large = folder.path().join("large.toml");
    fs::write(&large, " ".repeat(1024 * 1024 + 1)).unwrap();
    assert_eq!(
        load(large),
        "FOLDER/large.toml: error[file_too_large]: the file is larger than 1048576 bytes\n\n\
         configuration refused: 1 problem"
    );
    let latin = folder.path().join("latin1.toml");
    fs::write(&latin, b"# caf\n# caf\xe9\n").unwrap();
    assert_eq!(
        load(latin),
        "FOLDER/latin1.toml: error[not_utf8]: the file is not UTF-8: a wrong byte in line 2\n\n\
         configuration refused: 1 problem"
    );
}

#[test]
fn outside_systemd_a_credential_says_what_is_missing() {
    let nothing = Surroundings::with(|_| None);
    let text = fixture("minimal.toml");
    let errors = Config::parse("a.toml", text.as_bytes(), false, &nothing).unwrap_err();
    let codes: Vec<Code> = errors.problems.iter().map(|problem| problem.code).collect();
    assert_eq!(codes, [Code::SecretUnavailable; 3]);
    let first = errors.problems[0].to_string();
    assert_eq!(
        first,
        "a.toml:6:25: error[secret_unavailable]: credential `klompen_secret` cannot be read: \
         $CREDENTIALS_DIRECTORY is not set\n   |\n 6 | secret = { credential = \
         \"klompen_secret\" }\n   |                         ^^^^^^^^^^^^^^^^\n   = help: systemd \
         sets it for units with LoadCredential=; from a shell, set it to the folder that holds \
         the credentials"
    );
}

#[test]
fn a_thousand_problems_are_counted_and_two_hundred_shown() {
    let text: String = (0..1_000).map(|n| format!("key{n} = {n}\n")).collect();
    let errors = Config::parse("a.toml", text.as_bytes(), false, &world().surroundings);
    let errors = errors.unwrap_err();
    assert_eq!((errors.problems.len(), errors.more), (200, 800));
    assert!(
        errors
            .to_string()
            .ends_with("refused: 1000 problems (200 shown)")
    );
}

#[test]
fn the_deepest_file_the_parser_admits_is_walked_without_harm() {
    let open = format!("{}a = {{", "a.".repeat(70)).repeat(78);
    let text = format!("{open}a = 1{}", "}".repeat(78));
    let errors = Config::parse("a.toml", text.as_bytes(), false, &world().surroundings);
    let codes: Vec<Code> = errors
        .unwrap_err()
        .problems
        .iter()
        .map(|found| found.code)
        .collect();
    assert_eq!(codes, [Code::UnknownKey]);
    let deeper = format!("{}a = 1", "a.".repeat(100_000));
    let errors = Config::parse("a.toml", deeper.as_bytes(), false, &world().surroundings);
    let codes: Vec<Code> = errors
        .unwrap_err()
        .problems
        .iter()
        .map(|found| found.code)
        .collect();
    assert_eq!(codes, [Code::Syntax]);
}

#[test]
fn problems_have_their_machine_form() {
    let text = "[server]\nadmin = \"\"\n";
    let errors = Config::parse("a.toml", text.as_bytes(), false, &world().surroundings);
    let actual = errors.unwrap_err().json();
    let expected = serde_json::json!([{
        "severity": "error", "code": "bad_listen", "file": "a.toml", "line": 2, "column": 9,
        "message": "`admin` is \"\"",
        "accepted": "an IP address and a port such as \"127.0.0.1:8481\", or a Unix socket such \
            as \"unix:/run/reconciled/admin.sock\"",
        "hint": null,
    }]);
    assert_eq!(actual, expected);
}
