//! What the pages for administrators say.

use super::Lang;

sentences! {
    main_pages: "Main pages", "Основные страницы";
    administration: "Administration", "Администрирование";
    not_administrator: "This is for administrators", "Это для администраторов";
    jobs: "Jobs", "Работы";
    one_job: "Job", "Работа";
    people: "People", "Люди";
    audit: "Audit", "Аудит";
    machine: "The machine", "Машина";
    pages: "Pages", "Страницы";
    page_before: "Previous", "Раньше";
    page_after: "Next", "Дальше";
    in_memory: "In memory in all", "Всего в памяти";
    any: "any", "все";
    show_these: "Show", "Показать";
    show_all: "Show all", "Показать все";
    none_such: "Nothing of that kind.", "Ничего такого нет.";
    choose: "Choose", "Выбрать";
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
    links_by_command: "On the server, an administrator makes a link to sign in:", "Ссылку для входа администратор делает на сервере:";
    only_denied: "only what was denied", "только отказы";
    what: "What", "Что";
    outcome: "Outcome", "Итог";
    was_denied: "denied", "отказ";
    all_well: "The doctor finds nothing to mend.", "Чинить нечего.";
    doctor_lead:
        "The doctor compares what cid knows with the machine. Mend these on the server.",
        "cid сверил то, что знает, с машиной. Это чинят на сервере.";
    worth_knowing: "Worth knowing", "Полезно знать";
}

impl Lang {
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
