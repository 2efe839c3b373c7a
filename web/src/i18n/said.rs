//! What the daemon says in sentences: refusals, hints, verdicts, health. The daemon's own template of a
//! sentence is its key; what has none here is shown as the daemon says it.

use super::Lang;
use crate::text::{Escaped, printable};
use std::fmt;

/// The daemon's template, and the sentence in Russian. `{}` stands for a value; `{0}` is the first of them.
#[rustfmt::skip]
const SENTENCES: &[(&str, &str)] = &[
    // Addresses.
    ("the e-mail address is empty", "адрес почты не указан"),
    ("the e-mail address is longer than 254 characters", "адрес почты длиннее 254 знаков"),
    ("the e-mail address holds a character that is not plain ASCII", "в адресе почты есть знак не из латинского набора ASCII"),
    ("an e-mail address has exactly one @, like anna@example.com", "в адресе почты ровно один знак @, как в anna@example.com"),
    ("the part before the @ must have 1 to 64 characters", "до знака @ должно быть от 1 до 64 знаков"),
    ("the part before the @ may hold only letters, digits and . _ + -", "до знака @ могут быть только буквы, цифры и . _ + -"),
    ("the part before the @ must begin and end with a letter or digit and have no two dots in a row", "часть до знака @ начинается и кончается буквой или цифрой, и двух точек подряд в ней нет"),
    ("the part after the @ must be a domain like example.com", "после знака @ должен быть домен, как example.com"),
    ("each label of the domain must have 1 to 63 letters, digits or - and must not begin or end with -", "каждая часть домена состоит из 1–63 букв, цифр или - и не начинается и не кончается на -"),
    // Rights and signing in.
    ("you are not signed in", "вы не вошли"),
    ("sign in first", "сначала войдите"),
    ("you may not do this: {}", "вам это нельзя: {0}"),
    ("this is not yours, or does not exist", "это не ваше, или такого нет"),
    ("this is for administrators", "это для администраторов"),
    ("nobody is signed in", "вы не вошли"),
    ("the web front repairs nothing", "веб-страницы ничего не чинят"),
    ("this link or code is not good: it may have been used, or be too old", "ссылка или код не подходят: возможно, они уже использованы или устарели"),
    ("ask for a new one: an administrator makes it with cictl people link ADDRESS", "попросите новую: администратор сделает её командой cictl people link ADDRESS"),
    ("cid sends no mail here", "cid здесь не отправляет писем"),
    ("an administrator makes links: cictl people link EMAIL", "ссылку сделает администратор: cictl people link EMAIL"),
    ("{} may not sign in", "адресу {0} вход не разрешён"),
    ("name the address or its domain under [people] in cid.toml, and restart cid", "впишите адрес или его домен в [people] файла cid.toml и перезапустите cid"),
    ("there were too many attempts to sign in", "слишком много попыток войти"),
    ("try again in a quarter of an hour", "попробуйте через четверть часа"),
    ("try again in a few minutes", "попробуйте через несколько минут"),
    ("try again when some have expired", "попробуйте, когда часть из них устареет"),
    // Workspaces and jobs.
    ("{} has a workspace of {} already: {}", "у {0} уже есть стенд проекта {1}: {2}"),
    ("watch it being made: cictl jobs watch {}", "за его созданием можно следить: cictl jobs watch {0}"),
    ("a {} job is still at work there: {}", "над этим стендом ещё идёт работа {0}: {1}"),
    ("wait for it (cictl jobs watch {}) or cancel it (cictl jobs cancel {})", "дождитесь её (cictl jobs watch {0}) или отмените (cictl jobs cancel {1})"),
    ("deleting {} would lose work that is nowhere else: {}", "удаление {0} потеряет работу, которой больше нигде нет: {1}"),
    ("deleting the branch {} would lose {} of its commits: they are not in {}", "удаление ветки {0} потеряет коммиты, которых нет в {2}: {1}"),
    ("there is no such workspace", "такого стенда нет"),
    ("there is no job {}", "работы {0} нет"),
    ("the workspace has just been deleted", "стенд только что удалён"),
    ("the workspace of {} is not ready", "стенд {0} не готов"),
    ("cictl show tells its state and its job", "его состояние и работу покажет cictl show"),
    ("the job cannot be cancelled: {}", "работу нельзя отменить: {0}"),
    ("every name for this address is taken", "все имена для этого адреса заняты"),
    ("the project {} has no file any more", "у проекта {0} больше нет файла"),
    ("the project {} cannot be used: {}", "проектом {0} нельзя пользоваться: {1}"),
    ("cannot make {}: {}", "не получится создать {0}: {1}"),
    ("cannot make a workspace: there are {}{}, and there may be {}: {}", "ещё один стенд создать нельзя: их уже {0}, а может быть {2}: {3}"),
    ("cannot begin a job: {} are at work, and there may be no more: {}", "работу начать нельзя: сейчас идёт {0}, больше нельзя: {1}"),
    ("there is no log", "журнала нет"),
    ("there is no log of a process {}", "журнала процесса {0} нет"),
    // Stages and builds.
    ("{} has no stage {}", "у проекта {0} нет площадки {1}"),
    ("cictl stages shows them; one that the file does not name any more runs on as it is, until its table is back or it is deleted", "их покажет cictl stages; та, которой больше нет в файле, работает как есть, пока её таблицу не вернут или её не удалят"),
    ("{} has no build {}", "у проекта {0} нет сборки {1}"),
    ("cictl builds shows them", "их покажет cictl builds"),
    ("the repository of {} has no branch, tag or commit {}", "в репозитории проекта {0} нет ветки, тега или коммита {1}"),
    ("push it first; a commit takes at least 7 digits of its name", "сначала отправьте его; от имени коммита нужно не меньше 7 знаков"),
    ("build {} may not run in {}: it is not tested yet", "сборке {0} на {1} нельзя: её ещё не проверили"),
    ("build {} may not run in {}: it could not be made", "сборке {0} на {1} нельзя: её не удалось собрать"),
    ("build {} may not run in {}: it has no sealed files", "сборке {0} на {1} нельзя: у неё нет защищённых файлов"),
    ("build {} may not run in {}: it never ran in {}", "сборке {0} на {1} нельзя: она не работала на {2}"),
    ("build {} may not run in {}: {}", "сборке {0} на {1} нельзя: {2}"),
    ("build {} is older than build {}, which runs in {}", "сборка {0} старше сборки {1}, которая работает на {2}"),
    ("build {} runs in {} already", "сборка {0} уже работает на {1}"),
    ("nothing runs in {} yet", "на {0} пока ничего не работает"),
    ("there is no build for {}", "для {0} нет сборки"),
    ("build {} never ran in {}", "сборка {0} на {1} не работала"),
    ("no older build ran in {}", "более старых сборок на {0} не было"),
    ("mend it and push; `required = false` under [test] has verdicts stop nothing", "исправьте и отправьте; с `required = false` в [test] тесты ничего не останавливают"),
    ("release commands ran since, of build {}: what they changed in the database is not taken back", "с тех пор выполнялись команды перед запуском, сборки {0}: их изменения в базе не откатываются"),
    ("nothing can be deployed to {}: {}", "на {0} ничего нельзя выпустить: {1}"),
    ("build {} goes on by itself once it has run well in {} for {} s", "сборка {0} пойдёт дальше сама, когда хорошо проработает на {1} {2} с"),
    ("build {} did not pass its soak in {}: {}; it goes on by itself once it has run well there for {} s, cictl promote {} {} takes it as it is", "сборка {0} не выдержала проверки временем на {1}: {2}; она пойдёт дальше сама, когда хорошо проработает там {3} с, а cictl promote {4} {5} выпустит её как есть"),
    ("the project file does not name {} any more: it runs by what the file last said of it", "в файле проекта больше нет {0}: она работает по тому, что файл сказал о ней последним"),
    ("a copy of the database from before is in {}", "копия базы до этого: {0}"),
    ("nothing was tested: [app] of the project file has no `test`", "проверять было нечем: в [app] файла проекта нет `test`"),
    ("passed{}", "пройдены{0}"),
    ("failed{}: {}", "не пройдены{0}: {1}"),
    (" ({} tests, {} failed, {} left out)", " (всего {0}, не пройдено {1}, пропущено {2})"),
    // Why a step failed, and what to do.
    ("cannot {}: `{}` ended with status {}", "не получилось {0}: `{1}` завершилась с кодом {2}"),
    ("cannot {}: `{}` ran out of {}", "не получилось {0}: команде `{1}` не хватило: {2}"),
    ("release", "подготовить запуск"),
    ("build", "собрать"),
    ("install dependencies", "установить зависимости"),
    ("memory", "память"),
    ("processes", "процессы"),
    ("room in a file", "место в файле"),
    ("{} under [limits.commands] in the project file allows more", "больше разрешает {0} в [limits.commands] файла проекта"),
    ("see its last lines of output; mend it in the repository, or set `{}` in [app] of the project file", "посмотрите, что она вывела последним; исправьте её в репозитории или задайте `{0}` в [app] файла проекта"),
    ("see its last lines of output; mend it in the repository, or `build` in [app] of the project file", "посмотрите, что она вывела последним; исправьте её в репозитории или `build` в [app] файла проекта"),
    ("see its last lines of output; mend its command in the Procfile or in [app] of the project file", "посмотрите, что он вывел последним; исправьте его команду в Procfile или в [app] файла проекта"),
    ("see its last lines of output; mend the repository or app.install in the project file", "посмотрите, что выведено последним; исправьте репозиторий или app.install в файле проекта"),
    ("see its last lines of output; mend `backup` of the stage in the project file", "посмотрите, что выведено последним; исправьте `backup` площадки в файле проекта"),
    ("cannot keep the process {} running: it {}", "процесс {0} не работает: {1}"),
    ("has ended with {}", "завершился: {0}"),
    ("has ended {} times, last with {}", "завершился {0} раз, в последний: {1}"),
    ("a process has to run until it is stopped: start it in the foreground, and leave out of the Procfile what does its work and ends", "процесс должен работать, пока его не остановят: запускайте его не в фоне, а то, что отрабатывает и завершается, уберите из Procfile"),
    ("nobody kills a process so but the kernel, when memory runs out: memory under [limits.app] in the project file allows more", "так процесс завершает только ядро, когда кончается память: больше разрешает memory в [limits.app] файла проекта"),
    ("cannot reach the web process: nobody listens", "веб-процесс недоступен: никто не слушает"),
    ("cannot call it healthy: {}", "приложение отвечает не так, как должно: {0}"),
    ("{} answers with status {}", "{0} отвечает со статусом {1}"),
    ("mostly a host name that the app does not take. Django: ALLOWED_HOSTS must hold .DOMAIN, the project's domain with a dot in front; elsewhere the list of hosts that it trusts", "чаще всего приложение не принимает имя хоста. Django: в ALLOWED_HOSTS нужно .DOMAIN, домен проекта с точкой впереди; в других случаях это список доверенных хостов"),
    ("mostly a host name that the app does not take (config.hosts of Rails, server.allowedHosts of Vite), or a page that not everybody may see: then name another one as path of health under [app], or the status as good, health.status = [403]", "чаще всего приложение не принимает имя хоста (config.hosts в Rails, server.allowedHosts в Vite), или страница не для всех: тогда назовите другую в path раздела health в [app] или этот статус хорошим, health.status = [403]"),
    ("this machine does not reach what is fetched there: see the network's settings in project-file.md, or take it from an index near by", "отсюда недоступно то, что загружается: смотрите настройки сети в project-file.md или возьмите это из индекса поблизости"),
    ("the program {} is neither among the packages nor on this machine: declare it, or apt install what has it", "программы {0} нет ни среди пакетов, ни на этой машине: объявите её или установите через apt install"),
    ("the tree was not brought up to date, for {}: it is deployed as it is", "файлы не обновлены, потому что {0}: стенд обновлён с ними как есть"),
    // Health.
    ("a {} job is at work", "идёт работа: {0}"),
    ("supervisord does not answer", "supervisord не отвечает"),
    ("supervisord has none of its processes", "supervisord не знает его процессов"),
    ("it does not answer yet", "пока не отвечает"),
    ("its page has not answered yet", "страница пока не ответила"),
];

/// Words that are written as they are, at the beginning of a sentence too.
const NAMES: &[&str] = &[
    "cid",
    "cictl",
    "git",
    "htpasswd",
    "nginx",
    "supervisord",
    "uv",
    "web",
];

/// A sentence of the daemon's, in the page's language where it is known. It escapes itself, and says where it is
/// English on a page that is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    text: String,
    is_foreign: bool,
}

impl Said {
    /// As the beginning of a line: with a capital, unless it begins with a name, an address or a path.
    pub fn begun(self) -> Self {
        let word = self.text.split_whitespace().next().unwrap_or_default();
        let word = word.trim_end_matches([',', ':', ';']);
        if NAMES.contains(&word) || !word.chars().all(char::is_alphabetic) {
            return self;
        }
        let mut chars = self.text.chars();
        let text = match chars.next() {
            Some(first) => first.to_uppercase().chain(chars).collect(),
            None => String::new(),
        };
        Self { text, ..self }
    }
}

impl askama::FastWritable for Said {
    fn write_into(&self, out: &mut dyn fmt::Write, _: &dyn askama::Values) -> askama::Result<()> {
        Ok(write!(out, "{self}")?)
    }
}

impl askama::filters::HtmlSafe for Said {}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = Escaped(&self.text);
        match self.is_foreign {
            true => write!(f, "<span lang=\"en\">{text}</span>"),
            false => write!(f, "{text}"),
        }
    }
}

impl Lang {
    /// A sentence of the daemon's.
    pub fn daemon_says(self, sentence: &str) -> Said {
        match self.translated(sentence) {
            Some(text) => Said {
                text,
                is_foreign: false,
            },
            None => Said {
                // Some quote lines of a file.
                text: sentence
                    .lines()
                    .map(printable)
                    .collect::<Vec<_>>()
                    .join("\n"),
                is_foreign: self != Self::En,
            },
        }
    }

    /// The sentence in this language; `None`: it is not known, or it is in this language.
    fn translated(self, sentence: &str) -> Option<String> {
        if self == Self::En {
            return None;
        }
        SENTENCES.iter().find_map(|(template, own)| {
            let values = values_of(template, sentence)?;
            let mut text = (*own).to_owned();
            for (index, value) in values.iter().enumerate() {
                // A value may be a sentence of the daemon's too.
                let value = self.translated(value).unwrap_or_else(|| printable(value));
                text = text.replacen(
                    &format!("{{{index}}}"),
                    &value.replace('{', "(").replace('}', ")"),
                    1,
                );
            }
            Some(text)
        })
    }
}

/// What stands in a sentence where its template has `{}`.
fn values_of<'a>(template: &str, sentence: &'a str) -> Option<Vec<&'a str>> {
    let mut parts = template.split("{}").peekable();
    let mut rest = sentence.strip_prefix(parts.next()?)?;
    let mut values = Vec::new();
    while let Some(part) = parts.next() {
        let is_last = parts.peek().is_none();
        let at = match (is_last, part) {
            (true, "") => rest.len(),
            (true, part) => rest.strip_suffix(part)?.len(),
            (false, "") => 0,
            (false, part) => rest.find(part)?,
        };
        let (value, after) = rest.split_at_checked(at)?;
        values.push(value);
        rest = after.get(part.len()..)?;
    }
    rest.is_empty().then_some(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::HashSet, fs, path::Path};

    #[test]
    fn known_sentences_are_said_in_russian_and_others_as_they_are() {
        let say = |sentence| Lang::Ru.daemon_says(sentence).to_string();
        assert_eq!(say("sign in first"), "сначала войдите");
        assert_eq!(
            say("cannot release: `python3 release.py` ended with status 1"),
            "не получилось подготовить запуск: `python3 release.py` завершилась с кодом 1"
        );
        assert_eq!(
            say("cannot call it healthy: / answers with status 403"),
            "приложение отвечает не так, как должно: / отвечает со статусом 403"
        );
        assert_eq!(
            say("build 12 may not run in production: it never ran in test"),
            "сборке 12 на production нельзя: она не работала на test"
        );
        assert_eq!(
            say("you may not do this: this is for administrators"),
            "вам это нельзя: это для администраторов"
        );
        assert_eq!(
            say("failed (3 tests, 1 failed, 0 left out): it fell over"),
            "не пройдены (всего 3, не пройдено 1, пропущено 0): it fell over"
        );
        assert_eq!(
            say("the project <x> cannot be used: you are not signed in"),
            "проектом &#60;x&#62; нельзя пользоваться: вы не вошли"
        );
        assert_eq!(
            say("the moon is {0} <b>full</b>\u{1b}[31m"),
            "<span lang=\"en\">the moon is {0} &#60;b&#62;full&#60;/b&#62;</span>"
        );
        let english = Lang::En.daemon_says("<b>").to_string();
        assert_eq!(english, "&#60;b&#62;");
    }

    #[test]
    fn a_line_begins_with_a_capital_but_not_a_name_or_a_path() {
        for (text, begun) in [
            ("cannot do it", "Cannot do it"),
            ("/tmp/x: no", "/tmp/x: no"),
            ("anna@example.com has one", "anna@example.com has one"),
            ("cictl builds shows them", "cictl builds shows them"),
            ("web has ended", "web has ended"),
            ("", ""),
        ] {
            let said = Lang::En.daemon_says(text).begun();
            assert_eq!(said.to_string(), begun);
        }
        let said = Lang::Ru.daemon_says("sign in first").begun();
        assert_eq!(said.to_string(), "Сначала войдите");
    }

    #[test]
    fn a_value_cannot_pass_for_a_place_of_another() {
        let said = Lang::Ru.daemon_says("{1} has no stage \"x\"").to_string();
        assert_eq!(said, "у проекта (1) нет площадки &#34;x&#34;");
    }

    /// The string literals of a folder's source, a line each, with `{}` for each value.
    fn literals(folder: &Path, found: &mut String) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                literals(&path, found);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = fs::read_to_string(path).unwrap();
                let text = text.replace("\\\"", "").replace("'\"'", "");
                for literal in text.split('"').skip(1).step_by(2) {
                    let mut pieces = literal.split('{');
                    found.push_str(pieces.next().unwrap());
                    for piece in pieces {
                        found.push_str("{}");
                        found.push_str(piece.split_once('}').map_or("", |(_, rest)| rest));
                    }
                    found.push('\n');
                }
            }
        }
    }

    /// Reads the daemon's source: the front shares no code with it. A sentence that the daemon does not say any
    /// more, or says otherwise, is found here.
    #[test]
    fn every_sentence_is_one_of_the_daemons() {
        let mut found = String::new();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        literals(&root.join("daemon/src"), &mut found);
        // A line that is continued begins after its blanks.
        let lines = found.split("\\\n").enumerate();
        let found: String = lines
            .map(|(index, part)| if index == 0 { part } else { part.trim_start() })
            .collect();
        let mut seen = HashSet::new();
        for (template, own) in SENTENCES {
            assert!(seen.insert(template), "{template:?} is there twice");
            let count = template.matches("{}").count();
            for index in 0..count {
                let is_left_out = *template
                    == "cannot make a workspace: there are {}{}, and there may be {}: {}"
                    && index == 1;
                assert!(
                    is_left_out || own.contains(&format!("{{{index}}}")),
                    "{own:?} lacks a value"
                );
            }
            assert!(
                found.contains(template),
                "the daemon does not say {template:?}"
            );
        }
    }
}
