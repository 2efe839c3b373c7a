//! What the pages for administrators say.

use super::Lang;
use crate::text::printable;
use cid_client::JobState;

/// What the audit log's calls do. A call without a line here is shown by its name.
#[rustfmt::skip]
const DEEDS: &[(&str, &str, &str)] = &[
    ("Workspaces/Create", "create a workspace", "создать стенд"),
    ("Workspaces/Get", "look at a workspace", "посмотреть стенд"),
    ("Workspaces/List", "list workspaces", "посмотреть все стенды"),
    ("Workspaces/Delete", "delete a workspace", "удалить стенд"),
    ("Workspaces/Restart", "restart", "перезапустить"),
    ("Workspaces/Stop", "stop", "остановить"),
    ("Workspaces/Start", "start", "запустить"),
    ("Workspaces/Deploy", "bring up to date", "обновить"),
    ("Workspaces/RepairAccess", "repair the access to files", "восстановить доступ к файлам"),
    ("Workspaces/Logs", "read a log", "прочитать журнал"),
    ("Workspaces/Run", "run a command:", "выполнить команду:"),
    ("Workspaces/Test", "run the tests", "запустить тесты"),
    ("Builds/Start", "build", "собрать"),
    ("Builds/Logs", "read what a build printed", "прочитать вывод сборки"),
    ("Builds/Delete", "delete a build", "удалить сборку"),
    ("Stages/Promote", "promote a build", "выпустить сборку"),
    ("Stages/RollBack", "roll a stage back", "откатить площадку"),
    ("Jobs/Get", "look at a job", "посмотреть работу"),
    ("Jobs/List", "list jobs", "посмотреть работы"),
    ("Jobs/Watch", "watch a job", "следить за работой"),
    ("Jobs/Cancel", "cancel a job", "отменить работу"),
    ("Jobs/Retry", "have a job go on", "продолжить работу"),
    ("People/Link", "make a link to sign in", "сделать ссылку для входа"),
    ("People/AskForLink", "ask for a link", "запросить ссылку"),
    ("People/Redeem", "sign in", "войти"),
    ("People/SignOut", "sign out", "выйти"),
    ("People/List", "see who is signed in", "посмотреть, кто вошёл"),
    ("People/EndSessions", "sign somebody out", "завершить чужой вход"),
    ("Projects/Check", "check a project's file", "проверить файл проекта"),
    ("Projects/Fetch", "look at a remote", "проверить сервер git"),
    ("Projects/Hooks", "see webhooks", "посмотреть вебхуки"),
    ("Projects/Remove", "remove a project", "удалить проект"),
    ("System/Doctor", "examine the server", "проверить сервер"),
    ("System/Prune", "remove what nobody uses", "убрать неиспользуемое"),
    ("System/EnableFront", "switch the front on", "включить веб-страницы"),
    ("System/DisableFront", "switch the front off", "выключить веб-страницы"),
    ("System/Audit", "read the audit log", "прочитать журнал действий"),
];

sentences! {
    main_pages: "Main pages", "Основные страницы";
    administration: "Administration", "Администрирование";
    not_administrator: "This is for administrators", "Это для администраторов";
    jobs: "Jobs", "Работы";
    one_job: "Job", "Работа";
    people: "People", "Люди";
    audit: "Audit", "Журнал действий";
    machine: "The machine", "Сервер";
    pages: "Pages", "Страницы";
    page_before: "Previous", "Раньше";
    page_after: "Next", "Дальше";
    in_memory: "In memory in all", "Всего в памяти";
    only_failed: "only what failed", "только неудачи";
    sorted_by: "Sorted by", "Порядок";
    any: "any", "все";
    show_these: "Show", "Показать";
    show_all: "Show all", "Показать все";
    none_such: "Nothing of that kind.", "Ничего такого нет.";
    choose: "Choose", "Выбрать";
    choose_all: "Choose all of this page", "Выбрать все на странице";
    delete_chosen: "Delete the chosen …", "Удалить выбранные …";
    delete_these: "Delete these workspaces?", "Удалить эти стенды?";
    deleted_chosen: "What came of it", "Что получилось";
    none_chosen: "None was chosen.", "Ничего не выбрано.";
    work_stays:
        "A workspace with work that is nowhere else stays.",
        "Стенд с работой, которой больше нигде нет, останется.";
    delete_unanswered:
        "No answer in time: its git server is slow. Look at it later.",
        "Ответа пока нет: сервер git отвечает медленно. Проверьте позже.";
    at_work: "At work", "Идут сейчас";
    no_job_at_work: "No job is at work, none is stuck.", "Ничего не выполняется и не застряло.";
    ended: "Ended", "Закончились";
    of_what: "Of what", "Над чем";
    when: "When", "Когда";
    lasted: "Took", "Заняло";
    nobody_signed_in: "Nobody is signed in.", "Никто не вошёл.";
    browsers: "Browsers", "Браузеров";
    last_used: "Last used", "Последний раз";
    sign_out_one: "Sign out", "Завершить";
    sign_out_asks: "All their browsers are signed out, and their links are good for nothing.", "Завершатся все входы, и ссылки перестанут действовать.";
    sign_out_now: "Sign out everywhere", "Завершить везде";
    is_signed_out: "Signed out:", "Вход завершён:";
    used_to_minutes: "When a browser was last used is known to about ten minutes.", "Когда браузером пользовались, известно с точностью до десяти минут.";
    mail_a_link: "Send somebody a link to sign in", "Прислать кому-нибудь ссылку для входа";
    links_by_command: "On the server, an administrator makes a link to sign in:", "Ссылку для входа администратор делает на сервере:";
    only_denied: "only what was denied", "только отказы";
    what: "What", "Что";
    outcome: "Outcome", "Итог";
    was_denied: "denied", "отказ";
    all_well: "The doctor finds nothing to mend.", "Чинить нечего.";
    doctor_lead:
        "The doctor compares what cid knows with the machine. Mend these on the server.",
        "cid сверил то, что знает, с тем, что есть. Это чинят на сервере.";
    worth_knowing: "Worth knowing", "Полезно знать";
}

impl Lang {
    /// What came of a job that is not done.
    pub fn job_outcome(self, state: &JobState) -> &'static str {
        match state {
            JobState::Cancelled => self.pick("cancelled", "отменено"),
            JobState::Stuck => self.pick("stuck", "застряло"),
            _ => self.pick("failed", "не удалось"),
        }
    }

    /// What somebody did, by the name of the call; `None`: it has no words.
    pub fn deed(self, call: &str) -> Option<&'static str> {
        let (_, en, ru) = DEEDS.iter().find(|(name, ..)| *name == call)?;
        Some(self.pick(en, ru))
    }

    /// How a call ended.
    pub fn audit_outcome(self, outcome: &str) -> String {
        match outcome {
            "OK" => self.pick("done", "сделано").to_owned(),
            "UNAUTHENTICATED" => self.pick("not signed in", "вход не выполнен").to_owned(),
            "CANCELLED" => self.pick("broken off", "прервано").to_owned(),
            "RESOURCE_EXHAUSTED" => self.pick("too much at once", "слишком много").to_owned(),
            "NOT_FOUND" => self.pick("no such thing", "такого нет").to_owned(),
            "FAILED_PRECONDITION" | "ABORTED" | "ALREADY_EXISTS" => self
                .pick(
                    "refused: it could not be done then",
                    "тогда это было нельзя",
                )
                .to_owned(),
            "INVALID_ARGUMENT" => self.pick("not understood", "не понято").to_owned(),
            other => printable(other),
        }
    }

    /// Which of the pages this is.
    pub fn page_of(self, number: &usize, pages: &usize) -> String {
        match self {
            Self::En => format!("page {number} of {pages}"),
            Self::Ru => format!("страница {number} из {pages}"),
        }
    }

    /// How many workspaces a search has found.
    pub fn found(self, count: usize) -> String {
        let stands = ["стенд", "стенда", "стендов"];
        self.count(count as u64, ["workspace", "workspaces"], stands)
    }
}
