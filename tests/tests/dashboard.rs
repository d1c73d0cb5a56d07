//! The dashboard in a real browser, told of invented moments.

use std::{collections::BTreeSet, sync::Arc};

use filter_user::{
    listener::{Answer, DroppedPacket, Explain, Knocking, Snapshot},
    policy::Probe,
    replay::Wanted,
    telemetry::{By, Span},
};
use tests::{
    browser::{Browser, Key, Look},
    moments::{Listening, at_risk, calls_and_scan, carry, end, flood, idle, loopback, moment, monitoring, ranked},
};

const PHONE: Look = Look { width: 390, height: 844, dark: false };
const WIDE: Look = Look { width: 1440, height: 900, dark: false };

/// A browser that has a listener's page open.
fn open(listening: &Listening) -> Browser {
    let browser = Browser::start();
    browser.look(WIDE);
    browser.open(&listening.running.url());
    browser.await_true("document.querySelector('#connection').dataset.state === 'live'");
    browser
}

#[test]
fn every_moment_fits_every_screen() {
    let listening = Listening::new(moment(idle()));
    let browser = open(&listening);
    let moments: [(&str, fn() -> _, &str); 5] = [
        ("quiet", idle, "Quiet: nothing comes from listed sources"),
        ("calls-and-scan", calls_and_scan, "Nothing of listed sources is refused"),
        ("flood", flood, "Nothing of listed sources is refused"),
        ("at-risk", at_risk, "Calls at risk"),
        ("monitoring", monitoring, "Enforcing would put calls at risk"),
    ];
    for (name, make, verdict) in moments {
        listening.tell(moment(make()));
        browser.await_true(&format!("document.querySelector('#verdict').textContent === '{verdict}'"));
        for (screen, look) in [("wide", WIDE), ("phone", PHONE)] {
            for dark in [false, true] {
                browser.look(Look { dark, ..look });
                listening.tell(moment(make()));
                browser.await_true("document.querySelector('.lane svg')");
                let overflow = browser.script(
                    "return [...document.querySelectorAll('body *')].filter((each) => !each.closest('.unseen, svg')
                       && each.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
                       .map((each) => each.outerHTML.slice(0, 80))",
                );
                let scheme = if dark { "dark" } else { "light" };
                browser.picture(&format!("{name}-{screen}-{scheme}"));
                assert_eq!(overflow, serde_json::json!([]), "{name} on {screen}");
            }
        }
    }
    assert_eq!(browser.console(), [""; 0]);
}

#[test]
fn a_lost_connection_is_said_and_heals() {
    let listening = Listening::new(moment(calls_and_scan()));
    let browser = open(&listening);
    browser.await_true("document.querySelector('#verdict').textContent === 'Nothing of listed sources is refused'");
    let port = listening.running.address().port();
    drop(listening);
    browser.await_true("document.querySelector('#connection').dataset.state === 'lost'");
    assert!(browser.text("#verdict").starts_with("Unknown: nothing was heard since"), "{}", browser.text("#verdict"));
    assert_eq!(browser.script("return document.body.dataset.level"), "unknown");
    assert_eq!(browser.script("return document.title"), "sipwall: connection lost");
    for (name, look) in [("wide-light", WIDE), ("phone-dark", Look { dark: true, ..PHONE })] {
        browser.look(look);
        browser.picture(&format!("lost-{name}"));
    }
    // The browser says that nobody listened, and nothing else.
    let console = browser.console();
    assert!(console.iter().all(|line| line.contains("net::ERR_")), "{console:?}");
    let again = Listening::with(&loopback(port), moment(at_risk()), None);
    browser.await_true("document.querySelector('#connection').dataset.state === 'live'");
    browser.await_true("document.querySelector('#verdict').textContent === 'Calls at risk'");
    again.tell(moment(idle()));
    browser.await_true("document.body.dataset.level === 'quiet'");
    assert_eq!(browser.script("return document.body.hasAttribute('data-stale')"), false);
}

#[test]
fn a_service_that_says_nothing_more_is_not_taken_for_live() {
    let listening = Listening::new(moment(calls_and_scan()));
    let browser = open(&listening);
    // The connection stands, and nothing comes.
    browser.await_true("document.querySelector('#connection').dataset.state === 'lost'");
    listening.tell(moment(calls_and_scan()));
    browser.await_true("document.querySelector('#connection').dataset.state === 'live'");
    assert_eq!(browser.console(), [""; 0]);
}

#[test]
fn what_is_shown_is_what_was_counted() {
    let listening = Listening::new(moment(flood()));
    let browser = open(&listening);
    let last = *flood().traffic.last().expect("traffic");
    browser.await_true("document.querySelector('#rate-dropped').textContent.includes('1M')");
    assert_eq!(browser.text("#rate-passed").replace(',', ""), format!("{} /s", last.passed));
    assert_eq!(browser.text("#rate-listed"), "0 /s");
    let cells = |row: usize| {
        let script = format!(
            "return [...document.querySelectorAll('#callers tr')[{row}].children].map((cell) => cell.innerText)"
        );
        browser.script(&script)
    };
    // kore, its media, its SIP over TLS, of which nothing ever came.
    assert_eq!(cells(0), serde_json::json!(["kore", "235", "401.8K", "", "now"]));
    assert_eq!(cells(1), serde_json::json!(["media", "234", "400.1K", "", "now"]));
    assert_eq!(cells(2), serde_json::json!(["sip-tls", "0", "0", "", "never"]));
    let knocking = browser.text("#knocking");
    assert!(knocking.contains("185.243.5.77") && knocking.contains("and 3 more sources"), "{knocking}");
    let reasons = browser.text("#reasons");
    assert!(reasons.contains("source_unlisted") && reasons.contains("4.8T"), "{reasons}");
    let lane = browser.script("return document.querySelectorAll('.lane svg')[1].getAttribute('aria-label')");
    assert!(lane.as_str().expect("a text").starts_with("dropped: 1M packets a second now"), "{lane}");
    assert_eq!(browser.console(), [""; 0]);
}

#[test]
fn nothing_that_is_told_becomes_markup() {
    const MARKUP: &str = "<script>window.hacked = 1</script><img src=x onerror=\"window.hacked = 1\">'\"`\n</td>";
    let mut interface = at_risk();
    interface.status.policy = Some(MARKUP.to_owned());
    interface.status.interface = MARKUP.to_owned();
    interface.rules[1].rule = format!("{MARKUP}/{MARKUP}");
    let most = vec![ranked(MARKUP, 1, &[Wanted::Udp(5060)], "source_unlisted")];
    let (span, by) = (Span::TenMinutes, By::Source);
    interface.knocking = Some(vec![Knocking { span, by, packets: 1, count: 1, most }]);
    interface.drops = Some(vec![DroppedPacket {
        at: 0,
        source: MARKUP.to_owned(),
        source_port: None,
        destination: None,
        destination_port: None,
        protocol: MARKUP.to_owned(),
        text: Some(MARKUP.to_owned()),
        reason: "source_unlisted",
        would_drop: false,
    }]);
    let mut told = moment(interface);
    told.service.errors.push(MARKUP.to_owned());
    told.sources[0].provider = MARKUP.to_owned();
    let listening = Listening::with(&loopback(0), told, Some(Arc::new(Hostile(MARKUP))));
    let browser = open(&listening);
    browser.await_true("document.querySelector('#drops').textContent.includes('onerror')");
    browser.script(
        "const form = document.querySelector('#explain'); form.elements.source.value = '<b>';
         form.elements.destination.value = '192.0.2.1:5060'; form.requestSubmit()",
    );
    browser.await_true("document.querySelector('#answer').textContent.includes('`<b>` is not an address')");
    browser.script("const form = document.querySelector('#explain'); form.elements.source.value = '192.0.2.2'; form.requestSubmit()");
    browser.await_true("document.querySelector('#answer').textContent.includes('onerror')");
    assert_eq!(browser.script("return window.hacked ?? null"), serde_json::Value::Null);
    assert_eq!(browser.script("return document.scripts.length"), 1);
    assert_eq!(browser.script("return document.querySelectorAll('img').length"), 1);
    for place in
        ["#facts", "#callers", "#knockers", "#knocking", "#drops", "#concerns", "#state", "#sources", "#answer"]
    {
        assert!(browser.text(place).contains("<script>window.hacked = 1</script>"), "{place}: {}", browser.text(place));
    }
    // What the listener refuses is an error to the browser, and nothing else is.
    let console: Vec<_> = browser.console().into_iter().filter(|line| !line.contains("400 (Bad Request)")).collect();
    assert!(console.iter().all(|line| line.contains("422 (Unprocessable")), "{console:?}");
}

/// Refuses everything, in these words.
struct Hostile(&'static str);

impl Explain for Hostile {
    fn explain(&self, _: Option<&str>, _: &Probe) -> Result<Answer, String> {
        Err(self.0.to_owned())
    }
}

#[test]
fn a_keyboard_and_a_screen_reader_reach_everything() {
    let listening = Listening::new(moment(at_risk()));
    let browser = open(&listening);
    browser.await_true("document.querySelectorAll('#drops button').length === 4");
    // Everything that can be used, in the order of the page.
    let mut reached = Vec::new();
    for _ in 0..11 {
        browser.press(Key::Tab);
        reached.push(focused(&browser));
    }
    for wanted in ["Explain udp 185.243.5.77:5071 → 198.51.100.10:5060", "Protocol", "From", "To", "Explain", "Metrics"]
    {
        assert!(reached.iter().any(|name| name == wanted), "`{wanted}` is not reached: {reached:?}");
    }
    let outline = browser.script("return getComputedStyle(document.activeElement).outlineStyle");
    assert_ne!(outline, "none", "one sees where one is");
    let tree = browser.devtools("Accessibility.getFullAXTree", &serde_json::json!({}));
    let nodes = tree["nodes"].as_array().expect("nodes");
    let named = |role: &str| -> BTreeSet<String> {
        let of_role = nodes.iter().filter(|node| node["role"]["value"] == role && node["ignored"] != true);
        of_role.map(|node| node["name"]["value"].as_str().unwrap_or_default().to_owned()).collect()
    };
    let regions = named("region");
    for region in ["Calls at risk", "Who calls providers and services", "Policy and state"] {
        assert!(regions.contains(region), "{regions:?}");
    }
    for role in ["image", "button", "combobox", "textbox", "meter", "list"] {
        let names = named(role);
        assert!(!names.contains("") || role == "list", "a nameless {role}: {names:?}");
    }
    assert!(named("image").iter().any(|name| name.contains("refused from listed: 57 packets a second now")));
    assert!(named("rowheader").contains("kore"));
}

#[test]
fn axe_finds_nothing_that_keeps_people_from_using_it() {
    let listening = Listening::new(moment(at_risk()));
    let browser = open(&listening);
    let moments = [
        ("Calls at risk", moment(at_risk()), vec![WIDE, dark(WIDE), PHONE, dark(PHONE)]),
        ("Enforcing would put calls at risk", moment(monitoring()), vec![dark(WIDE), PHONE]),
        ("Quiet: nothing comes from listed sources", moment(idle()), vec![WIDE, dark(PHONE)]),
        ("Not filtered", Snapshot::default(), vec![WIDE, dark(PHONE)]),
    ];
    for (verdict, told, looks) in moments {
        for look in looks {
            browser.look(look);
            // Again for each: what is told too seldom is taken for lost.
            listening.tell(told.clone());
            browser.await_true(&format!("document.querySelector('#verdict').textContent === '{verdict}'"));
            assert_eq!(browser.barriers(), [""; 0], "{verdict} as {look:?}");
        }
    }
    drop(listening);
    browser.await_true("document.querySelector('#connection').dataset.state === 'lost'");
    for look in [WIDE, dark(PHONE)] {
        browser.look(look);
        assert_eq!(browser.barriers(), [""; 0], "lost, as {look:?}");
    }
}

const fn dark(look: Look) -> Look {
    Look { dark: true, ..look }
}

/// The name of what has the focus, as a screen reader says it.
fn focused(browser: &Browser) -> String {
    let name = browser.script(
        "const at = document.activeElement;
         return at === document.body ? '' : at.getAttribute('aria-label') ?? at.labels?.[0]?.firstChild.textContent.trim() ?? at.textContent",
    );
    name.as_str().unwrap_or_default().to_owned()
}

/// Goes on to what has this name.
fn tab_to(browser: &Browser, name: &str) {
    let reached: Vec<_> = (0..30)
        .map(|_| {
            browser.press(Key::Tab);
            focused(browser)
        })
        .take_while(|reached| reached != name)
        .collect();
    assert_eq!(focused(browser), name, "{reached:?}");
}

#[test]
fn everything_is_done_by_keyboard_alone() {
    let told = moment(at_risk());
    let listening = Listening::with(&loopback(0), told, Some(Arc::new(Echo)));
    let browser = open(&listening);
    browser.await_true("document.querySelectorAll('#drops button').length === 4");
    // Who is knocking, ranked otherwise.
    tab_to(&browser, "By");
    browser.press(Key::Down);
    browser.await_true("document.querySelector('#knockers-what').textContent === 'Network'");
    // A drop is explained, and the focus stays where it is over what comes next.
    tab_to(&browser, "Explain udp 185.243.5.77:5071 → 198.51.100.10:5060");
    browser.press(Key::Enter);
    browser.await_true("document.querySelector('#answer').textContent.includes('185.243.5.77:5071')");
    listening.tell(moment(calls_and_scan()));
    browser.await_true("document.querySelector('#verdict').textContent === 'Nothing of listed sources is refused'");
    assert!(focused(&browser).starts_with("Explain udp "), "{}", focused(&browser));
    // A packet of one's own.
    tab_to(&browser, "Protocol");
    browser.press(Key::Down);
    assert_eq!(browser.script("return document.querySelector('#explain').elements.protocol.value"), "tcp");
    for (name, text) in [("From", "192.0.2.7:4000"), ("To", "198.51.100.10:5061")] {
        tab_to(&browser, name);
        browser.script("document.activeElement.select()");
        browser.type_in(text);
    }
    browser.press(Key::Enter);
    browser.await_true("document.querySelector('#answer').textContent.includes('192.0.2.7:4000')");
    assert_eq!(browser.script("return document.querySelector('#answer').getAttribute('role')"), "status");
    tab_to(&browser, "Metrics");
    browser.press(Key::Enter);
    browser.await_true("location.pathname === '/metrics'");
}

/// Answers with the question.
struct Echo;

impl Explain for Echo {
    fn explain(&self, _: Option<&str>, probe: &Probe) -> Result<Answer, String> {
        Err(format!("{} to {}", probe.source, probe.destination))
    }
}

#[test]
fn each_interface_can_be_chosen() {
    let mut told = moment(calls_and_scan());
    let mut second = idle();
    second.status.interface = "eth1".to_owned();
    second.status.running = false;
    second.status.attach_mode = None;
    carry(&mut second, "kore/media", 77, 3);
    end(&mut second, "tcp_flags", "drop", 12, 1);
    told.interfaces.push(second);
    let listening = Listening::new(told);
    let browser = open(&listening);
    browser.await_true("document.querySelector('#verdict').textContent === 'eth1: Not filtered'");
    assert!(browser.text("#facts").contains("native XDP on eth0"));
    browser.script(
        "const pick = document.querySelector('#interface'); pick.value = 'eth1';
         pick.dispatchEvent(new Event('change'))",
    );
    browser.await_true("document.querySelector('#facts').textContent.includes('not running on eth1')");
    assert!(browser.text("#reasons").contains("tcp_flags"), "{}", browser.text("#reasons"));
    assert!(!browser.text("#reasons").contains("source_unlisted"));
}

#[test]
fn no_filter_at_all_is_said() {
    let listening = Listening::new(Snapshot::default());
    let browser = open(&listening);
    browser.await_true("document.querySelector('#verdict').textContent === 'Not filtered'");
    assert_eq!(browser.script("return document.body.dataset.level"), "critical");
    assert!(browser.text("#concerns").contains("`sipwall attach` attaches one".replace('`', "").as_str()));
    browser.picture("nothing-wide-light");
    listening.tell(moment(idle()));
    browser.await_true("document.body.dataset.level === 'quiet'");
    assert_eq!(browser.console(), [""; 0]);
}
