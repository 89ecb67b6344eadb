//! A destination that is down: its calls are held back, on-call can see it, and nothing is lost.
//!
//! The real daemon, seen through its metrics, its log and the sandbox's books.

use crate::support::Rig;
use reconciled::sandbox::fault::{Aim, Fault, Symptom, Times};
use reconciled::sandbox::rig::eur;

#[tokio::test]
async fn a_shop_that_is_down_is_held_back_in_sight_and_settles_everyone_after_it() {
    let rig = Rig::raise().await;
    let down = Fault::before(Symptom::Close);
    rig.shop(|shop| shop.lay(Aim::all(), Times::Always, down));
    let references = ["1001", "1002", "1003", "1004", "1005", "1006"];
    for reference in references {
        rig.place(reference, eur(5_995));
        rig.pay(reference, eur(5_995));
    }
    let is_open =
        |state| format!("reconciled_breaker_open{{destination=\"shop:klompen\"}} {state}\n");
    rig.until_page("/metrics", |page| page.contains(&is_open(1)))
        .await;
    rig.shop(|shop| shop.heal());
    for reference in references {
        rig.until_verdict(reference, "settled").await;
        assert_eq!(rig.fine(reference).mails, 1);
    }
    rig.until_page("/metrics", |page| page.contains(&is_open(0)))
        .await;
    let log = std::fs::read_to_string(rig.log_path()).unwrap();
    for words in ["calls are held back", "the destination answers again"] {
        assert!(log.contains(words), "{words}: {log}");
    }
    rig.close().await;
}
