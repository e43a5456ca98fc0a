#![allow(clippy::unwrap_used, clippy::too_many_lines, missing_docs)]
//! Plain commands: what they become, and what is said of those that are not understood.

use browser::flow::Compiled;
use browser::language::grammar::{self, NotUnderstood};
use buttress_core::{Classify, ErrorClass};

#[test]
fn commands_become_steps() {
    let cases = [
        ("go to https://a.example/x?y=1,2.", r#"[{"goto":"https://a.example/x?y=1,2"}]"#),
        ("open example.com/path", r#"[{"goto":"https://example.com/path"}]"#),
        ("visit localhost:8000/a", r#"[{"goto":"http://localhost:8000/a"}]"#),
        (r#"navigate to "http://127.0.0.1:9/x y""#, r#"[{"goto":"http://127.0.0.1:9/x y"}]"#),
        ("go to 10.0.0.1", r#"[{"goto":"https://10.0.0.1"}]"#),
        (
            "open the website example.org then click 'Next'",
            r#"[{"goto":"https://example.org"},{"click":"text=Next"}]"#,
        ),
        ("click Next page", r#"[{"click":"text=Next page"}]"#),
        ("click on the Login button", r#"[{"click":"text=Login"}]"#),
        (r#"click "Save and close""#, r#"[{"click":"text=Save and close"}]"#),
        ("click Save and close", r#"[{"click":"text=Save and close"}]"#),
        ("click #go", r##"[{"click":"#go"}]"##),
        ("click .btn.primary", r#"[{"click":".btn.primary"}]"#),
        (r#"click button[type="submit page"]"#, r#"[{"click":"button[type=\"submit page\"]"}]"#),
        ("click div.card > a", r#"[{"click":"div.card > a"}]"#),
        (r#"click css "main > a""#, r#"[{"click":"main > a"}]"#),
        ("click 'don't do it'", r#"[{"click":"text=don't do it"}]"#),
        (
            "type 'hello, world' into #q and press enter",
            r##"[{"type":{"into":"#q","text":"hello, world","clear":false,"enter":true}}]"##,
        ),
        (
            r#"enter "x" in the Search field, then press tab"#,
            r#"[{"type":{"into":"text=Search","text":"x","clear":false,"enter":false}},{"press":"Tab"}]"#,
        ),
        (
            "type hello world into #q",
            r##"[{"type":{"into":"#q","text":"hello world","clear":false,"enter":false}}]"##,
        ),
        (
            "type 'a' into #q then press enter",
            r##"[{"type":{"into":"#q","text":"a","clear":false,"enter":false}},{"press":"Enter"}]"##,
        ),
        (
            "fill in #email with 'a@b.c'",
            r##"[{"type":{"into":"#email","text":"a@b.c","clear":true,"enter":false}}]"##,
        ),
        ("fill 'x' into #email", r##"[{"type":{"into":"#email","text":"x","clear":false,"enter":false}}]"##),
        (
            r#"fill the Name field with "Ann""#,
            r#"[{"type":{"into":"text=Name","text":"Ann","clear":true,"enter":false}}]"#,
        ),
        ("press enter", r#"[{"press":"Enter"}]"#),
        ("hit Control+A", r#"[{"press":"Control+A"}]"#),
        ("press the Escape key", r#"[{"press":"Escape"}]"#),
        ("select 'Deutsch' from #lang", r##"[{"select":{"from":"#lang","value":"Deutsch"}}]"##),
        ("choose Red in the Colour list", r#"[{"select":{"from":"text=Colour","value":"Red"}}]"#),
        ("wait 2 seconds", r#"[{"wait":"2s"}]"#),
        ("wait for 1.5s", r#"[{"wait":"1s500ms"}]"#),
        ("wait 500 ms", r#"[{"wait":"500ms"}]"#),
        ("wait a minute", r#"[{"wait":"1m"}]"#),
        ("wait for #result", r##"[{"wait":{"for":"#result","state":"visible"}}]"##),
        ("wait for 'Thank you'", r#"[{"wait":{"text":"Thank you"}}]"#),
        ("wait for #spinner to disappear", r##"[{"wait":{"for":"#spinner","state":"hidden"}}]"##),
        ("wait until 'Done' is shown", r#"[{"wait":{"text":"Done"}}]"#),
        ("wait until .x is no longer visible", r#"[{"wait":{"for":".x","state":"hidden"}}]"#),
        (r#"wait for the url to contain "/done""#, r#"[{"wait":{"url":"/done"}}]"#),
        (r#"wait until url contains "/done""#, r#"[{"wait":{"url":"/done"}}]"#),
        ("wait for Results", r#"[{"wait":{"for":"text=Results","state":"visible"}}]"#),
        ("screenshot", r#"[{"screenshot":{"name":"page","full":false}}]"#),
        ("take a screenshot", r#"[{"screenshot":{"name":"page","full":false}}]"#),
        ("take a full screenshot as home", r#"[{"screenshot":{"name":"home","full":true}}]"#),
        (
            "take a screenshot of #card as card",
            r##"[{"screenshot":{"name":"card","full":false,"of":"#card"}}]"##,
        ),
        ("screenshot of the whole page", r#"[{"screenshot":{"name":"page","full":true}}]"#),
        ("take a screenshot of the page as p", r#"[{"screenshot":{"name":"p","full":false}}]"#),
        ("save the page as pdf", r#"[{"pdf":{"name":"page"}}]"#),
        ("save as pdf report", r#"[{"pdf":{"name":"report"}}]"#),
        ("save the page as a pdf named report", r#"[{"pdf":{"name":"report"}}]"#),
        ("print to pdf", r#"[{"pdf":{"name":"page"}}]"#),
        ("extract all h2 as titles", r#"[{"extract":{"name":"titles","from":"h2","as":"texts"}}]"#),
        (
            "extract links",
            r#"[{"extract":{"name":"links","from":"a[href]","as":"attributes","attribute":"href"}}]"#,
        ),
        (
            "get all links as urls",
            r#"[{"extract":{"name":"urls","from":"a[href]","as":"attributes","attribute":"href"}}]"#,
        ),
        ("extract the page title", r#"[{"extract":{"name":"title","title":true}}]"#),
        ("read the url", r#"[{"extract":{"name":"url","url":true}}]"#),
        (
            "extract the text of .price as price",
            r#"[{"extract":{"name":"price","from":".price","as":"text"}}]"#,
        ),
        (
            "extract the attribute href of a.more",
            r#"[{"extract":{"name":"result","from":"a.more","as":"attribute","attribute":"href"}}]"#,
        ),
        (r#"extract all the "x" "#, r#"[{"extract":{"name":"result","from":"text=x","as":"texts"}}]"#),
        ("extract the table as rows", r#"[{"extract":{"name":"rows","from":"table","as":"table"}}]"#),
        ("get table #prices", r##"[{"extract":{"name":"table","from":"#prices","as":"table"}}]"##),
        ("extract the html of #x", r##"[{"extract":{"name":"result","from":"#x","as":"html"}}]"##),
        ("extract the value of #q", r##"[{"extract":{"name":"result","from":"#q","as":"value"}}]"##),
        ("get the number of .item as n", r#"[{"extract":{"name":"n","from":".item","as":"count"}}]"#),
        ("count .item", r#"[{"extract":{"name":"count","from":".item","as":"count"}}]"#),
        ("check that 'Thanks' is shown", r#"[{"assert":{"text":"Thanks"}}]"#),
        ("verify that title contains 'Quotes'", r#"[{"assert":{"title":"Quotes"}}]"#),
        ("assert that the url contains '/x'", r#"[{"assert":{"url":"/x"}}]"#),
        ("check that #x is hidden", r##"[{"assert":{"target":"#x","state":"hidden"}}]"##),
        ("check that #x is not visible", r##"[{"assert":{"target":"#x","state":"hidden"}}]"##),
        ("check that #msg says 'ok'", r##"[{"assert":{"target":"#msg","text":"ok"}}]"##),
        (r#"check the page contains "hi""#, r#"[{"assert":{"text":"hi"}}]"#),
        ("accept dialogs", r#"[{"dialog":"accept"}]"#),
        ("dismiss all dialogs", r#"[{"dialog":"dismiss"}]"#),
        ("accept dialogs with 'yes'", r#"[{"dialog":{"accept":"yes"}}]"#),
        (
            r#"please go to example.com and then click "More" and take a screenshot; save as pdf, wait 1 second. Extract links"#,
            r#"[{"goto":"https://example.com"},{"click":"text=More"},{"screenshot":{"name":"page","full":false}},{"pdf":{"name":"page-2"}},{"wait":"1s"},{"extract":{"name":"links","from":"a[href]","as":"attributes","attribute":"href"}}]"#,
        ),
        ("1. go to example.com", r#"[{"goto":"https://example.com"}]"#),
        ("2. click 'Next'", r#"[{"click":"text=Next"}]"#),
        ("- take a screenshot", r#"[{"screenshot":{"name":"page","full":false}}]"#),
        (
            r#"Go to example.com. Click "Next". Take a screenshot."#,
            r#"[{"goto":"https://example.com"},{"click":"text=Next"},{"screenshot":{"name":"page","full":false}}]"#,
        ),
        (
            "type '{{x}}' into #q",
            r##"[{"type":{"into":"#q","text":"{{\"{\"}}{{\"{\"}}x}}","clear":false,"enter":false}}]"##,
        ),
        (
            "extract links and extract links",
            r#"[{"extract":{"name":"links","from":"a[href]","as":"attributes","attribute":"href"}},{"extract":{"name":"links-2","from":"a[href]","as":"attributes","attribute":"href"}}]"#,
        ),
        (
            "type 'x' into #q and press enter and press enter",
            r##"[{"type":{"into":"#q","text":"x","clear":false,"enter":true}},{"press":"Enter"}]"##,
        ),
        ("wait for #a, .b", r##"[{"wait":{"for":"#a, .b","state":"visible"}}]"##),
        ("click “Weiter” and press enter", r#"[{"click":"text=Weiter"},{"press":"Enter"}]"#),
        ("click a", r#"[{"click":"text=a"}]"#),
        ("extract a", r#"[{"extract":{"name":"result","from":"a","as":"text"}}]"#),
        (
            "take a screenshot of Checkout",
            r#"[{"screenshot":{"name":"page","full":false,"of":"text=Checkout"}}]"#,
        ),
        ("click text=Next page", r#"[{"click":"text=Next page"}]"#),
    ];
    for (text, expected) in cases {
        let flow = grammar::parse(text).unwrap();
        let expected: serde_json::Value = serde_json::from_str(expected).unwrap();
        assert_eq!(serde_json::to_value(&flow.steps).unwrap(), expected, "{text}");
        Compiled::new(&flow).unwrap();
    }
}

#[test]
fn what_is_not_understood_is_named() {
    let cases = [
        (
            "open the menu",
            r#"`open the menu` was not understood: `menu` is not a whole address; write it like "https://example.com/page"; write it like: go to https://example.com"#,
        ),
        (
            "open file:///etc/passwd",
            "`open file:///etc/passwd` was not understood: only http and https addresses may be visited, not `file:///etc/passwd`; write it like: go to https://example.com",
        ),
        (
            "go to javascript:alert(1)",
            "`go to javascript:alert(1)` was not understood: only http and https addresses may be visited, not `javascript:alert(1)`; write it like: go to https://example.com",
        ),
        (
            "click Search and select",
            r#"`select` was not understood: it does not say which entry; write it like: select "entry" from #list"#,
        ),
        (
            "click the button",
            r#"`click the button` was not understood: it does not say which button; write it like: click "Next""#,
        ),
        ("click 'unclosed", "`'unclosed` was not understood: the quote is not closed"),
        (
            "type hello in #q",
            r#"`type hello in #q` was not understood: the text to type stands in quotes; write it like: type "text" into #field"#,
        ),
        (
            "press Login",
            r#"`press Login` was not understood: `Login` is not a key; write `Enter`, `Tab`, `Escape`, `ArrowDown`, `F5`, one character, or `Control+A`; use `type` for text; to press a button, write: click "Login"; write it like: press enter"#,
        ),
        (
            "select x",
            r#"`select x` was not understood: it does not say from which list; write it like: select "entry" from #list"#,
        ),
        (
            "wait 5",
            r#"`wait 5` was not understood: a time is told in milliseconds, seconds or minutes; write it like: wait 2 seconds; or: wait for "text"; or: wait for #element to disappear"#,
        ),
        (
            "wait 2 hours",
            r#"`wait 2 hours` was not understood: a time is told in milliseconds, seconds or minutes; write it like: wait 2 seconds; or: wait for "text"; or: wait for #element to disappear"#,
        ),
        (
            "wait until #x",
            r#"`wait until #x` was not understood: it does not say what is to happen, such as `appears`; write it like: wait 2 seconds; or: wait for "text"; or: wait for #element to disappear"#,
        ),
        (
            "take a break",
            "`take a break` was not understood: a screenshot is all that can be taken; write it like: take a screenshot of #element as name",
        ),
        (
            "save the file",
            "`save the file` was not understood: a page can be saved as a pdf only; write it like: save the page as pdf name",
        ),
        (
            "extract the price",
            "`extract the price` was not understood: `price` may mean much; name it by a CSS selector (`.price`), a tag (`h2`) or words in quotes; write it like: extract all h2 as titles; or: extract links",
        ),
        (
            "extract h2 as bad name",
            "`extract h2 as bad name` was not understood: `name` is too much; write it like: extract all h2 as titles; or: extract links",
        ),
        (
            "ensure the page title is 'Quotes'",
            r#"`ensure the page title is 'Quotes'` was not understood: of the title it can be checked what it contains; write it like: check that "text" is shown; or: check that title contains "text""#,
        ),
        (
            "check 'x' ",
            r#"`check 'x'` was not understood: it does not say what is to be checked, such as `is shown`; write it like: check that "text" is shown; or: check that title contains "text""#,
        ),
        (
            "check #agree",
            r#"`check #agree` was not understood: it does not say what is to be checked, such as `is shown`; write it like: check that "text" is shown; or: check that title contains "text""#,
        ),
        (
            "accept cookies",
            "`accept cookies` was not understood: it does not say that dialogs are meant; write it like: accept dialogs; or: dismiss dialogs",
        ),
        (
            "clik #go",
            r#"`clik #go` was not understood: `clik` begins no command; write it like: click "Next""#,
        ),
        (
            "find me a cheap flight",
            r#"`find me a cheap flight` was not understood: `find` begins no command; write it like: go to https://example.com, click "More" and take a screenshot"#,
        ),
        (
            "do it, then click #a",
            "`do it` was not understood: `do` begins no command; write it like: go to https://example.com",
        ),
        (
            "double click #a",
            r#"`double click #a` was not understood: `double` begins no command; write it like: click "Next""#,
        ),
        (
            "go to example.com and",
            "`go to example.com and` was not understood: `and` is too much; write it like: go to https://example.com",
        ),
        (
            "check that there are 3 .x",
            r#"`check that there are 3 .x` was not understood: it does not say what is to be checked, such as `is shown`; write it like: check that "text" is shown; or: check that title contains "text""#,
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(grammar::parse(text).unwrap_err().to_string(), expected);
    }
}

#[test]
fn texts_without_commands_and_long_ones() {
    assert_eq!(grammar::parse(" \n; .").unwrap_err(), NotUnderstood::Empty);
    let long = grammar::parse(&"click #a;".repeat(1000)).unwrap_err();
    assert_eq!(long, NotUnderstood::TooLong(9000));
    assert_eq!(long.class(), ErrorClass::TooLarge);
}
