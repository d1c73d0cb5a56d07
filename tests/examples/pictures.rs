//! Takes pictures for the documentation: of every page in a directory, and of the dashboard at an address.
//!
//! `cargo xtask pictures` runs it in the network namespace of an SBC that has traffic.

#![expect(clippy::expect_used, reason = "without a picture there is nothing to go on with")]

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use tests::browser::{Browser, Look};

/// How the dashboard is looked at.
const LOOKS: [(&str, Look); 3] = [
    ("dashboard-light", Look { width: 1280, height: 800, dark: false }),
    ("dashboard-dark", Look { width: 1280, height: 800, dark: true }),
    ("dashboard-phone", Look { width: 390, height: 844, dark: false }),
];

fn main() {
    let mut arguments = env::args_os().skip(1);
    let directory = PathBuf::from(arguments.next().expect("a directory"));
    let dashboard = arguments.next().expect("an address").into_string().expect("text");
    let browser = Browser::start();
    terminals(&browser, &directory);
    browser.open(&dashboard);
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
