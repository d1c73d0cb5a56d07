//! Takes pictures for the documentation: of every page in a directory, of the dashboard at an address, and of what Prometheus
//! knows by the queries of the dashboard for Grafana.
//!
//! `cargo xtask pictures` runs it in the network namespace of an SBC that has traffic. Prometheus scrapes from the start; the
//! pictures are taken when standard input ends.

#![expect(clippy::expect_used, reason = "without a picture there is nothing to go on with")]

use std::{
    env, fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use tests::{
    browser::{Browser, Look},
    grafana,
    packaging::packaging,
    prometheus::Prometheus,
};

/// How the dashboard is looked at.
const LOOKS: [(&str, Look); 3] = [
    ("dashboard-light", Look { width: 1280, height: 800, dark: false }),
    ("dashboard-dark", Look { width: 1280, height: 800, dark: true }),
    ("dashboard-phone", Look { width: 390, height: 844, dark: false }),
];

/// The panels whose queries are drawn, by their titles, and over how long.
const DRAWN: [&str; 3] =
    ["Who calls: packets by provider", "Why packets are dropped: by reason", "SIP of unlisted sources"];
const RANGE: &str = "2m";

fn main() {
    let mut arguments = env::args_os().skip(1);
    let directory = PathBuf::from(arguments.next().expect("a directory"));
    let listener: SocketAddr = arguments.next().and_then(|text| text.to_str()?.parse().ok()).expect("an address");
    let rules = packaging("prometheus/sipwall.rules.yml");
    let prometheus = Prometheus::start_with_pages(9090, listener, &rules);
    io::copy(&mut io::stdin(), &mut io::sink()).expect("an end");
    let browser = Browser::start();
    terminals(&browser, &directory);
    dashboard(&browser, &directory, listener);
    graphs(&browser, &directory, &prometheus);
}

fn dashboard(browser: &Browser, directory: &Path, listener: SocketAddr) {
    browser.open(&format!("http://{listener}/"));
    browser.await_true("document.querySelector('#connection').dataset.state === 'live'");
    browser.await_true("document.querySelectorAll('#drops tr').length > 3");
    for (name, look) in LOOKS {
        browser.look(look);
        // It is drawn anew with what comes next.
        let drawn = browser.text("#rate-dropped");
        browser.await_true(&format!("document.querySelector('#rate-dropped').innerText !== {drawn:?}"));
        browser.picture_to(&directory.join(name).with_extension("png"));
    }
}

/// A picture of the page on which Prometheus draws what panels of the dashboard for Grafana ask it for.
fn graphs(browser: &Browser, directory: &Path, prometheus: &Prometheus) {
    let panels: Vec<_> = grafana::panels().into_iter().filter(|panel| DRAWN.contains(&panel.title.as_str())).collect();
    assert_eq!(panels.len(), DRAWN.len(), "a panel has another title");
    let queries: Vec<_> = panels.into_iter().flat_map(|panel| panel.queries).collect();
    // So high that nothing is scrolled away from its head, and so wide that each query stands on a line.
    browser.look(Look { width: 1440, height: 2_300, dark: false });
    browser.open(&prometheus.graphs(&queries, RANGE));
    browser.await_true(&format!("document.querySelectorAll('.rickshaw_graph svg path').length >= {}", queries.len()));
    browser.script("document.activeElement.blur()");
    browser.picture_to(&directory.join("grafana-queries.png"));
}

/// Pictures of every page in the directory, as wide as what stands on it.
fn terminals(browser: &Browser, directory: &Path) {
    let entries = fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path());
    for page in entries.filter(|path| path.extension().is_some_and(|kind| kind == "html")) {
        browser.look(Look { width: 1280, height: 200, dark: false });
        browser.open(&format!("file://{}", page.display()));
        let width = browser.script("return document.body.scrollWidth").as_u64().expect("a number");
        browser.look(Look { width: u32::try_from(width).expect("no wall"), height: 200, dark: false });
        browser.picture_to(&page.with_extension("png"));
    }
}
