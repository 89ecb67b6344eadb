//! Another policy to hold the recorded history against: a whole configuration file, or only what
//! differs of some shops.
//!
//! Says which of both a file is and reads it with the readers of the configuration itself, so
//! that its problems are told in the same way. Knows nothing of what is recorded.

use super::problem::{Code, ConfigErrors};
use super::secret::Surroundings;
use super::shop::{MODES, read_policy};
use super::source::{Findings, Raised};
use super::table::{Field, Section, did_you_mean, listed, quoted};
use super::{Config, parse_table, read_whole, utf8, value, vocabulary};
use crate::core::ids::ShopId;
use crate::core::policy::Policy;
use std::collections::BTreeMap;
use std::path::Path;
use toml::de::DeTable;

/// The keys of a shop in a file of policies.
const SHOP_KEYS: &[&str] = &["mode", "policy"];

/// What a file of other policies says.
#[derive(Clone, Debug)]
pub enum OtherPolicies {
    /// It is a whole configuration: a shop that it does not name is only watched, and a key that
    /// it does not name has its default.
    Whole(Box<Config>),
    /// It holds nothing but `mode` and `[shop.NAME.policy]`: what it does not name stays as the
    /// running configuration has it. By shop; accounts are empty.
    Parts(BTreeMap<ShopId, Policy>),
}

impl OtherPolicies {
    /// Reads and checks a file against the configuration `base`.
    ///
    /// # Errors
    /// All problems of the file at once, each with its place.
    pub fn load(
        path: &Path,
        base: &Config,
        surroundings: &Surroundings,
    ) -> Result<OtherPolicies, ConfigErrors> {
        let (shown, content) = read_whole(path)?;
        let is_private = !content.is_open_to_group && !content.is_open_to_others;
        OtherPolicies::parse(&shown, &content.bytes, base, (is_private, surroundings))
    }

    fn parse(
        file: &str,
        bytes: &[u8],
        base: &Config,
        (is_private, surroundings): (bool, &Surroundings),
    ) -> Result<OtherPolicies, ConfigErrors> {
        let text = utf8(file, bytes)?;
        let mut out = Findings::new(file, text, is_private);
        let document = parse_table(text, &mut out);
        let table = document.as_ref().map(|document| document.get_ref());
        if table.is_some_and(is_whole) {
            let config = Config::parse(file, bytes, is_private, surroundings)?;
            return Ok(OtherPolicies::Whole(Box::new(config)));
        }
        let parts = table.map(|table| read_parts(table, base, &mut out));
        out.finish()?;
        Ok(OtherPolicies::Parts(parts.unwrap_or_default()))
    }
}

/// True for a file that holds what only a whole configuration has.
fn is_whole(table: &DeTable<'_>) -> bool {
    let has_more = vocabulary::ROOT
        .iter()
        .any(|key| *key != "shop" && table.get(*key).is_some());
    let shops = table
        .get("shop")
        .and_then(|shops| shops.get_ref().as_table());
    let mut shops = shops.into_iter().flat_map(|shops| shops.values());
    has_more
        || shops.any(|shop| {
            let has = |key: &&&str| {
                let shop = shop.get_ref().as_table();
                shop.is_some_and(|shop| shop.get(**key).is_some())
            };
            let own = vocabulary::SHOP
                .iter()
                .filter(|key| !SHOP_KEYS.contains(key));
            own.filter(has).count() > 0
        })
}

fn read_parts(
    table: &DeTable<'_>,
    base: &Config,
    out: &mut Findings<'_>,
) -> BTreeMap<ShopId, Policy> {
    out.survey(table);
    let root = Section::root(table, out);
    let accepted = "tables such as [shop.NAME.policy], or a whole configuration";
    let shops = root.required("shop", accepted, out);
    let entries = shops.map_or_else(Vec::new, |field| field.entries(out));
    let read = |(name, field): (&str, Field<'_>)| read_part(name, &field, base, out);
    entries.into_iter().filter_map(read).collect()
}

fn read_part(
    name: &str,
    field: &Field<'_>,
    base: &Config,
    out: &mut Findings<'_>,
) -> Option<(ShopId, Policy)> {
    let id = ShopId::parse(name).ok();
    let shop = id.as_ref().and_then(|id| base.shops.get(id));
    if shop.is_none() {
        let known = base.shops.keys().map(ShopId::as_str);
        let message = format!("{} names no configured shop", quoted(name));
        let raised = Raised::new(Code::UnknownShop, field.key_at.clone(), message);
        let raised = raised.accepted(format!(
            "the key of a configured shop: {}",
            listed(known.clone())
        ));
        out.raise(raised.hint(did_you_mean(name, known)));
    }
    let stands = shop.map_or_else(Policy::default, |shop| shop.policy.clone());
    let section = Section::open(field, format!("[{}]", field.label), &[SHOP_KEYS], out)?;
    let mode = section.read_or("mode", stands.mode, out, |field, out| {
        value::word(field, MODES, out)
    });
    let title = format!("[{}.policy]", field.label);
    let policy = section.read_or("policy", stands.clone(), out, |field, out| {
        read_policy(field, title, stands, out)
    });
    Some((id?, Policy { mode, ..policy }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::policy::{HoldOrRefund, Mode};
    use crate::core::time::Span;

    const BASE: &str = r#"
[server]
public = "127.0.0.1:8480"
admin = "127.0.0.1:8481"
[store]
url = "sqlite:/var/lib/reconciled/r.db"
[shop.klompen]
kind = "generic"
url = "https://klompen.example/reconciled"
secret = { value = "whsec_c2VjcmV0LW9mLXRoZS1zaG9wLWluLXRlc3RzLTAwMDE=" }
mode = "confirm"
[shop.klompen.policy]
order_grace = "20m"
"#;

    fn read(text: &str) -> Result<OtherPolicies, ConfigErrors> {
        let surroundings = Surroundings::with(|_| None);
        let base = Config::parse("base.toml", BASE.as_bytes(), true, &surroundings).unwrap();
        OtherPolicies::parse("new.toml", text.as_bytes(), &base, (true, &surroundings))
    }

    fn parts(text: &str) -> Policy {
        match read(text) {
            Ok(OtherPolicies::Parts(parts)) => parts[&ShopId::parse("klompen").unwrap()].clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_a_part_does_not_name_stays_as_configured() {
        let policy = parts("[shop.klompen.policy]\nunreferenced = \"refund\"\n");
        assert_eq!(policy.unreferenced, HoldOrRefund::Refund);
        assert_eq!(policy.order_grace, Span::from_minutes(20));
        assert_eq!(policy.mode, Mode::Confirm);
        assert_eq!(parts("[shop.klompen]\nmode = \"full\"\n").mode, Mode::Full);
    }

    #[test]
    fn a_file_with_more_than_policies_is_a_whole_configuration() {
        match read(BASE) {
            Ok(OtherPolicies::Whole(config)) => assert_eq!(config.shops.len(), 1),
            other => panic!("{other:?}"),
        }
        // What is missing of a whole one is then a problem.
        let refused = read("[shop.klompen]\nurl = \"https://k.example/\"\n").unwrap_err();
        assert!(
            refused
                .problems
                .iter()
                .any(|one| one.code == Code::MissingKey)
        );
    }

    #[test]
    fn problems_are_told_with_place_and_nearest_word() {
        let text = "[shop.klompen.policy]\norder_grase = \"5m\"\nrefund_delay = 5\n\
                    [shop.klomppen.policy]\n[shop.klompen.polcy]\n";
        let refused = read(text).unwrap_err();
        let seen: Vec<(Code, usize, usize)> = refused
            .problems
            .iter()
            .map(|one| {
                let place = one.place.as_ref().unwrap();
                (one.code, place.line, place.column)
            })
            .collect();
        assert!(seen.contains(&(Code::UnknownKey, 2, 1)), "{seen:?}");
        assert!(seen.contains(&(Code::WrongType, 3, 16)), "{seen:?}");
        assert!(seen.contains(&(Code::UnknownShop, 4, 7)), "{seen:?}");
        assert!(seen.contains(&(Code::UnknownKey, 5, 15)), "{seen:?}");
        let said = refused.to_string();
        for words in [
            "order_grace",
            "did you mean `klompen`",
            "new.toml:2:1",
            "did you mean `policy`",
        ] {
            assert!(said.contains(words), "{words}\n{said}");
        }
    }

    #[test]
    fn an_empty_file_and_what_is_no_toml_are_refused() {
        for (text, code) in [("", Code::MissingKey), ("[shop", Code::Syntax)] {
            assert_eq!(read(text).unwrap_err().problems[0].code, code, "{text:?}");
        }
    }
}
