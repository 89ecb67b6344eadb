//! The OpenAPI document against the routes, the codes and the words of the program.

use super::world::World;
use reconciled::core::fact::RulingKind;
use reconciled::core::plan::{ActionKind, Reason, Verdict};
use reconciled::http::admin::routes;
use reconciled::http::api::acts::NOTE_CHARS_MAX;
use reconciled::http::openapi::OPENAPI;
use reconciled::http::problem::Code;
use reconciled::http::public;
use reconciled::http::view::LOOK_AGAIN;
use serde_json::Value;
use std::collections::BTreeSet;

fn document() -> Value {
    serde_json::from_str(OPENAPI).unwrap()
}

fn words(document: &Value, pointer: &str) -> BTreeSet<String> {
    let list = document.pointer(pointer).unwrap().as_array().unwrap();
    list.iter()
        .filter_map(|word| word.as_str().map(ToOwned::to_owned))
        .collect()
}

#[test]
fn every_route_is_in_the_document_and_every_documented_path_is_a_route() {
    let document = document();
    let methods = [
        "get", "put", "post", "delete", "patch", "head", "options", "trace",
    ];
    let mut documented = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            if methods.contains(&method.as_str()) {
                documented.insert((method.clone(), path.clone()));
            }
        }
    }
    let own = routes();
    let own = own.iter().map(|(method, path, _)| (*method, *path));
    let open = public::routes().map(|(method, path, _)| (method, path));
    let served: BTreeSet<(String, String)> = own
        .chain(open)
        .map(|(method, path)| (method.to_owned(), path.to_owned()))
        .collect();
    assert_eq!(documented, served);
}

#[tokio::test]
async fn the_table_of_routes_tells_the_methods_that_are_served() {
    let running = World::default().start();
    for (method, path, _) in routes() {
        let path = path.replace("{id}", "1").replace("{shop}", "klompen");
        let answer = match method {
            "get" => running.get(&path, "*/*").await,
            "post" => running.post(&path, "{}").await,
            other => panic!("unexpected method {other}"),
        };
        assert_ne!(answer.status, 405, "{method} {path}");
        let other = match method {
            "get" => running.post(&path, "{}").await,
            _ => running.get(&path, "*/*").await,
        };
        assert_eq!(other.status, 405, "{path}");
        assert!(other.headers.contains_key("allow"), "{path}");
        assert_eq!(other.code(), "method_not_allowed");
    }
}

#[test]
fn the_document_knows_every_word_of_the_program() {
    let document = document();
    let schema = |name: &str| format!("/components/schemas/{name}");
    let own = |words: &[&str]| {
        words
            .iter()
            .map(|word| (*word).to_owned())
            .collect::<BTreeSet<_>>()
    };
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.word()).collect();
    let verdicts = Verdict::ALL.map(Verdict::code);
    let reasons: Vec<&str> = Reason::ALL.iter().map(|reason| reason.code()).collect();
    let mut steps = ActionKind::ALL.map(ActionKind::code).to_vec();
    steps.push(LOOK_AGAIN);
    for (pointer, expected) in [
        ("Problem/properties/code/enum", codes.as_slice()),
        ("Verdict/enum", verdicts.as_slice()),
        ("Reason/enum", reasons.as_slice()),
        ("NextStep/properties/action/enum", steps.as_slice()),
    ] {
        assert_eq!(
            words(&document, &schema(pointer)),
            own(expected),
            "{pointer}"
        );
    }
    for word in words(&document, &schema("Ruling/properties/ruling/enum")) {
        assert!(
            serde_json::from_value::<RulingKind>(word.clone().into()).is_ok(),
            "{word}"
        );
    }
    let note = document.pointer(&schema("Note/maxLength")).unwrap();
    assert_eq!(note.as_u64(), u64::try_from(NOTE_CHARS_MAX).ok());
}

#[test]
fn every_reference_in_the_document_leads_somewhere() {
    fn walk<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str));
                map.values().for_each(|inner| walk(inner, found));
            }
            Value::Array(list) => list.iter().for_each(|inner| walk(inner, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let document = document();
    let mut found = Vec::new();
    walk(&document, &mut found);
    assert!(found.len() > 50);
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    let operations = document["paths"].as_object().unwrap().values();
    let ids: Vec<&Value> = operations
        .flat_map(|item| item.as_object().unwrap().values())
        .filter_map(|operation| operation.get("operationId"))
        .collect();
    let unique: BTreeSet<String> = ids.iter().map(|id| id.to_string()).collect();
    assert_eq!(unique.len(), ids.len());
}

/// Every member of an answer is described, and every required member is there.
fn agrees(document: &Value, schema: &Value, value: &Value, place: &str) {
    let schema = match schema["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    };
    if let Some(choices) = schema["oneOf"].as_array() {
        if !value.is_null() {
            agrees(document, &choices[0], value, place);
        }
    } else if let Value::Array(list) = value {
        for inner in list {
            agrees(document, &schema["items"], inner, place);
        }
    } else if let Value::Object(map) = value {
        let all: Vec<&Value> = match schema["allOf"].as_array() {
            Some(parts) => parts
                .iter()
                .map(|part| match part["$ref"].as_str() {
                    Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
                    None => part,
                })
                .collect(),
            None => vec![schema],
        };
        for (member, inner) in map {
            let known = all.iter().find_map(|part| part["properties"].get(member));
            let known = known.unwrap_or_else(|| panic!("{place}/{member} is not described"));
            agrees(document, known, inner, &format!("{place}/{member}"));
        }
        for part in all {
            for required in part["required"].as_array().unwrap() {
                let name = required.as_str().unwrap();
                assert!(map.contains_key(name), "{place}/{name} is missing");
            }
        }
    }
}

#[tokio::test]
async fn answers_are_as_the_document_describes_them() {
    use super::world::{Made, ago, captured, confirm, decision, entry};
    use reconciled::core::fact::Fact;
    let mut world = World::with_rows([Made::confirming("ck_1"), Made::settled("ck_2")]);
    let known = Fact::PaymentSeen(Box::new(captured("pi_1", 5995, ago(5))));
    let decided = decision(
        Verdict::Confirming,
        Reason::ConfirmDue,
        vec![confirm(ago(5))],
    );
    world.stock.journal = vec![entry(1, ago(5), &[known], &decided)];
    let running = world.start();
    let document = document();
    for (path, name) in [
        ("/status", "Status"),
        ("/readyz", "Readiness"),
        ("/api/v1/checkouts", "CheckoutList"),
        ("/api/v1/checkouts/ck_1", "Story"),
        ("/api/v1/parked", "DeliveryList"),
        ("/api/v1/statements", "DayStatement"),
        ("/api/v1/statements?shop=nobody", "Problem"),
        ("/nowhere", "Problem"),
        ("/api/v1/checkouts?limit=0", "Problem"),
    ] {
        let answer = running.get(path, "application/json").await.json();
        let schema = &document["components"]["schemas"][name];
        agrees(&document, schema, &answer, path);
    }
}

#[tokio::test]
async fn the_document_is_served_as_it_is() {
    let answer = World::default().start().get("/openapi.json", "*/*").await;
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.json()["openapi"], "3.1.0");
    assert_eq!(answer.body, OPENAPI);
}
