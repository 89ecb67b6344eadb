//! Random bytes, random pieces of configuration and damaged good files: none makes the loader
//! panic, and none makes it show a secret.

use super::*;
use proptest::prelude::*;

/// Reads bytes and shows everything there is to show of the outcome.
fn read_and_show(bytes: &[u8], world: &World) -> String {
    match Config::parse("a.toml", bytes, true, &world.surroundings) {
        Ok(config) => format!(
            "{}\n{:?}\n{}",
            check::text(&config),
            config,
            check::json(&config)
        ),
        Err(errors) => format!("{errors}\n{errors:?}\n{}", errors.json()),
    }
}

/// Pieces that make a random file look like a configuration.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("[shop.a]\n".to_owned()),
        Just("[psp.a]\nkind = \"stripe\"\nshop = \"a\"\n".to_owned()),
        Just("[[admin_token]]\n".to_owned()),
        Just("secret = { env = \"STRIPE_API_KEY\" }\n".to_owned()),
        "[a-z_.]{1,12} = (\"[^\"]{0,12}\"|[0-9.e-]{1,9}|\\{\\}|\\[\\]|true|2026-11-01)\n",
        "\\PC{0,20}\n",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_the_loader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        read_and_show(&bytes, &world());
    }

    #[test]
    fn no_pieces_make_the_loader_panic_or_talk(pieces in prop::collection::vec(piece(), 0..30)) {
        let world = world();
        assert_keeps_secrets(&read_and_show(pieces.concat().as_bytes(), &world), &world);
    }

    #[test]
    fn no_damage_to_a_good_file_makes_the_loader_panic_or_talk(
        at in any::<prop::sample::Index>(),
        cut in 0_usize..40,
        insert in prop::collection::vec(any::<u8>(), 0..8),
    ) {
        let world = world();
        let stripe = format!("{{ value = \"{}\" }}", api_key("sk_test", "c"));
        let full = fixture("full.toml")
            .replace("{ env = \"STRIPE_TEST_KEY\" }", &stripe)
            .replace("{ credential = \"oncall_token\" }", "{ value = \"pasted pasted pasted\" }");
        let mut bytes = full.into_bytes();
        let start = at.index(bytes.len());
        let end = start.saturating_add(cut).min(bytes.len());
        bytes.splice(start..end, insert);
        assert_keeps_secrets(&read_and_show(&bytes, &world), &world);
    }
}
