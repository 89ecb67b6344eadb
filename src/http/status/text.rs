//! The status page for a terminal: the same value, in plain lines.
//!
//! Shows, and computes nothing.

use super::concerns::Level;
use super::report::{AccountLine, Report, ShopLine, VerdictLine};
use crate::http::line::Line;
use crate::http::words::sums;

/// The page as plain text.
pub fn render(report: &Report) -> String {
    let level = report.level.word().to_uppercase();
    let mut lines = vec![format!("{level}  {}", report.headline)];
    for concern in &report.concerns {
        let sign = match concern.level {
            Level::Red => "!!",
            Level::Amber => " !",
            Level::Green => "  ",
        };
        lines.push(format!("  {sign} {}", concern.text));
    }
    section(&mut lines, "Shops", report.shops.iter().flat_map(shop));
    section(
        &mut lines,
        "PSP accounts",
        report.accounts.iter().map(account),
    );
    section(&mut lines, "Waiting", backlog(report));
    let troubles = report.troubles.iter().map(Line::text);
    section(&mut lines, "Longest without an end", troubles);
    lines.push(String::new());
    lines.push(format!("As of {}", report.at));
    lines.push(String::new());
    lines.join("\n")
}

fn section(lines: &mut Vec<String>, title: &str, content: impl IntoIterator<Item = String>) {
    lines.push(String::new());
    lines.push(title.to_owned());
    let before = lines.len();
    lines.extend(content);
    if lines.len() == before {
        lines.push("  none".to_owned());
    }
}

fn shop(shop: &ShopLine) -> Vec<String> {
    let title = match (&shop.name, shop.mode) {
        (Some(name), Some(mode)) => format!("  {} ({name}), mode {mode}", shop.shop),
        (_, _) => format!("  {}, not configured any more", shop.shop),
    };
    let mut lines = vec![title];
    if let Some(brake) = &shop.brake {
        lines.push(format!("    refunds held back: {brake}"));
    }
    if !shop.unclaimed.is_empty() {
        let sum = sums(&shop.unclaimed);
        lines.push(format!("    claimed by no rule in the last 24 h: {sum}"));
    }
    if shop.verdicts.is_empty() {
        lines.push("    no checkout yet".to_owned());
    }
    lines.extend(shop.verdicts.iter().map(verdict));
    lines
}

fn verdict(line: &VerdictLine) -> String {
    let mut text = format!("    {:<10} {:>7}", line.verdict, line.count);
    if !line.in_suspense.is_empty() {
        text.push_str(&format!("  {} in suspense", sums(&line.in_suspense)));
    }
    if let Some(oldest) = &line.oldest {
        text.push_str(&format!("  oldest {oldest}"));
    }
    text
}

fn account(line: &AccountLine) -> String {
    let error = line.last_error.as_ref().map_or(String::new(), |error| {
        format!("; latest sweep stopped: {error}")
    });
    format!(
        "  {} for {}: {}{error}",
        line.account, line.shop, line.swept
    )
}

fn backlog(report: &Report) -> Vec<String> {
    let backlog = &report.backlog;
    let aside = |text: &Option<String>, before: &str| {
        text.as_ref()
            .map_or(String::new(), |text| format!("{before}{text}"))
    };
    vec![
        format!(
            "  deliveries {:>7}{}",
            backlog.deliveries_pending,
            aside(&backlog.oldest_delivery, "  oldest ")
        ),
        format!(
            "  actions    {:>7}{}",
            backlog.actions,
            aside(&backlog.oldest_due, "  earliest ")
        ),
        format!("  parked     {:>7}", backlog.parked),
        format!("  quarantine {:>7}", backlog.quarantined),
    ]
}
