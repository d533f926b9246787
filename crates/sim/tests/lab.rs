//! Scenarios of the lab, small: a seed reproduces them, and what they do is done.

use althing_sim::overlay::lab::{Format, Report, Scenario, Way, load, run};

fn scenario(steps: &str) -> Scenario {
    let head = "name = 'x'\nabout = 'y'\nnodes = 120\nsupers = '5 %'\nquestions = 20\n\
                items = ['5 %', 'one']\nvia = ['walk', 'super', 'flood']\n";
    Scenario::parse(&format!("{head}{steps}")).unwrap_or_else(|error| panic!("{error}"))
}

fn run_it(scenario: &Scenario) -> Report {
    run(scenario, &mut |_| ())
}

#[test]
fn a_seed_reproduces_a_report_to_the_last_byte() {
    let mut forty = load("forty").expect("it comes with the program");
    let json = |scenario: &Scenario| run_it(scenario).write(Format::Json);
    let first = json(&forty);
    assert_eq!(first, json(&forty));
    forty.seed = 2;
    assert_ne!(first, json(&forty));
}

#[test]
fn forty_hear_and_find_what_there_is() {
    let report = run_it(&load("forty").expect("it comes with the program"));
    for spreading in &report.spreading {
        assert_eq!(spreading.reached, 1.0, "{spreading:?}");
    }
    for answers in &report.answers {
        assert!(answers.found >= 0.95, "{answers:?}");
    }
    let split = report.spreading.iter().find(|spreading| spreading.label == "while it is split");
    assert!(split.is_some_and(|split| split.within_10_s < 0.9), "it is split: {split:?}");
}

#[test]
fn all_ways_are_asked_the_same_and_the_flood_costs_most() {
    let report = run_it(&scenario("[[step]]\nask = {}\n[[step]]\nask = { questions = 5 }"));
    assert_eq!(report.answers.len(), 2 * 2 * 3);
    for answers in &report.answers {
        let expected = if answers.label == "step 1" { 20 } else { 5 };
        assert_eq!(answers.questions, expected, "{answers:?}");
        assert!(answers.found >= 0.8, "{answers:?}");
        let is_flood = answers.via == Way::Flood;
        assert_eq!(answers.messages.mean > 300.0, is_flood, "{answers:?}");
        assert!(answers.hops.most >= 1.0 && answers.latency_ms.median > 20.0, "{answers:?}");
    }
    for (format, sign) in [
        (Format::Text, "busiest node"),
        (Format::Markdown, "| walk |"),
        (Format::Svg, "<svg xmlns"),
        (Format::Html, "<!doctype html>"),
    ] {
        assert!(report.write(format).contains(sign), "{format:?}");
    }
}

#[test]
fn who_goes_is_followed_by_somebody_who_has_the_same() {
    let steps = "[[step]]\nchurn = { shape = 0.6, scale = '3 min', silent = '25 %' }\n\
                 [[step]]\nwait = '6 min'\n[[step]]\nask = {}\n\
                 [[step]]\npublish = { records = 3, every = '10 s' }";
    let report = run_it(&scenario(steps));
    for answers in report.answers.iter().filter(|answers| answers.via != Way::Flood) {
        assert!(answers.found >= 0.8, "{answers:?}");
    }
    assert!(report.spreading[0].reached >= 0.97, "{:?}", report.spreading);
    let (nodes, still) = (report.answers[0].nodes, report.spreading[0].nodes);
    assert_eq!(nodes, 120);
    assert!(still > 90, "{still} of them got it or stayed");
}

#[test]
fn strangers_are_there_and_poison_is_counted() {
    let steps = "[[step]]\nattack = { count = 30, conduct = 'poison' }\n[[step]]\nask = {}";
    let report = run_it(&scenario(steps));
    assert!(report.answers.iter().any(|answers| answers.wrong > 0.1), "{:?}", report.answers);
    assert!(report.answers.iter().all(|answers| answers.nodes == 120));
    let steps = "[[step]]\neclipse = { attackers = 20, networks = 4, time = '2 min', records = 2 }";
    let report = run_it(&scenario(steps));
    assert_eq!(report.facts.len(), 3, "{:?}", report.facts);
    assert_eq!(report.facts[2].value, "2 of 2", "{:?}", report.facts);
}
