//! The shapes secrets must have, what a secret shows of itself, and the real environment.
//! Where secrets come from is tested with whole files.

use super::*;

#[test]
fn keys_are_at_least_sixteen_bytes_that_fit_a_header() {
    assert_eq!(key_shape(&"k".repeat(16)), Ok(()));
    assert_eq!(key_shape(&"k".repeat(4_096)), Ok(()));
    for bad in [
        String::new(),
        "k".repeat(15),
        "k".repeat(4_097),
        format!("{} k", "k".repeat(16)),
        format!("{}\nk", "k".repeat(16)),
        format!("{}\0", "k".repeat(16)),
        "é".repeat(16),
    ] {
        assert!(key_shape(&bad).is_err(), "{bad:?}");
    }
}

#[test]
fn webhook_secrets_hold_24_to_64_bytes_of_strict_base64() {
    let encoded = |bytes: usize| format!("whsec_{}", STANDARD.encode(vec![0xfb_u8; bytes]));
    assert_eq!(webhook_shape(&encoded(24)), Ok(()));
    assert_eq!(webhook_shape(&encoded(64)), Ok(()));
    for bad in [
        encoded(23),
        encoded(65),
        encoded(32).replace("whsec_", "WHSEC_"),
        encoded(32).replace("whsec_", ""),
        encoded(32).replace('=', ""),
        encoded(32).replace('+', "-"),
        format!("whsec_{}", "k".repeat(41)),
    ] {
        assert!(webhook_shape(&bad).is_err(), "{bad}");
    }
}

#[test]
fn a_secret_shows_its_origin_alone() {
    let secret = Secret {
        value: SecretString::from("pasted-pasted-pasted"),
        origin: Origin::Env("API_KEY".to_owned()),
    };
    assert_eq!(
        format!("{secret} {secret:?}"),
        "set (from env API_KEY) set (from env API_KEY)"
    );
}

#[test]
fn the_processes_own_environment_is_read() {
    let here = Surroundings::of_process();
    assert!((here.variable)("PATH").is_some());
    assert!((here.variable)("RECONCILED_NEVER_SET").is_none());
}
