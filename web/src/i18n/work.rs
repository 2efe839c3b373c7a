//! What the pages for working with a workspace say.

use super::Lang;
use cid_client::{Job, JobKind};

sentences! {
    language_name: "English", "Русский";
    sign_out_everywhere: "Sign out everywhere", "Выйти везде";
    ask_lead:
        "Type your e-mail address, and a link to sign in comes by mail: then your running copy of a project is a minute away.",
        "Введите адрес почты, и на него придёт письмо со ссылкой для входа: до вашей работающей копии проекта останется минута.";
    send_link: "Send a link", "Прислать ссылку";
    with_code: "I have a code", "У меня есть код";
    link_sent: "If this address may sign in, a link is on its way to", "Если этому адресу разрешён вход, ссылка уже отправлена на";
    sent_lead:
        "Open it within 15 minutes. Or type the code from the mail here.",
        "Откройте её в течение 15 минут. Или введите здесь код из письма.";
    copy: "Copy", "Скопировать";
    copied: "Copied", "Скопировано";
    actions: "Actions", "Действия";
    deploy: "Bring up to date", "Обновить";
    restart: "Restart", "Перезапустить";
    stop: "Stop", "Остановить";
    sleep: "Let it sleep", "Усыпить";
    sleep_title: "Its next visitor starts it again.", "Следующий посетитель снова его запустит.";
    start: "Start", "Запустить";
    delete: "Delete …", "Удалить …";
    cancel: "Cancel and take back", "Отменить и вернуть как было";
    retry: "Try again", "Попробовать ещё раз";
    test: "Test", "Проверить";
    end_tests: "End the tests, back to the workspace", "Прервать тесты и вернуться к стенду";
    your_jobs: "What was done for you lately", "Что для вас делалось";
    branch_gone: "branch gone", "ветки больше нет";
    branch_gone_since: "is gone from the git server since", "её нет на сервере git с";
    tests_lead:
        "They run in the workspace, with its files as they are. Leaving the page ends them.",
        "Они выполняются на стенде, с его файлами как есть. Если уйти со страницы, они прервутся.";
    no_tests: "The project has no tests. They are named in its file:", "У проекта нет тестов. Их называют в его файле:";
    step_failed: "failed", "не удалось";
    test_passed: "passed", "пройдено";
    test_broke: "It is not known how it ended: the connection broke.", "Чем кончилось, неизвестно: связь прервалась.";
    test_too_long:
        "Ended after 15 minutes. On the server, longer tests run by cictl test.",
        "Прервано через 15 минут. Более долгие тесты запускает на сервере cictl test.";
    process: "Process", "Процесс";
    since: "Since", "С какого времени";
    memory: "Memory", "Память";
    no_processes: "No process runs.", "Процессов нет.";
    code_title: "Code", "Код";
    checked_out: "Checked out", "Сейчас в папке";
    detached: "no branch, a commit alone", "без ветки, только коммит";
    on_remote: "Compared with the server", "По сравнению с сервером";
    up_to_date: "as on the server", "как на сервере";
    changes: "Uncommitted", "Без коммита";
    no_changes: "nothing", "ничего";
    not_in_effect: "Changed, and not in effect yet", "Изменено и ещё не действует";
    files_title: "Files", "Файлы";
    by_ssh: "In a terminal, with an account on the server", "В терминале, с учётной записью на сервере";
    logs: "Logs", "Журналы";
    no_logs: "Nothing was written yet.", "Пока ничего не выведено.";
    no_right_to_logs: "Its log cannot be read now.", "Этот журнал сейчас не прочитать.";
    search: "Search", "Поиск";
    pause: "Pause", "Пауза";
    go_on: "Go on", "Продолжить";
    download: "Download", "Скачать";
    log_gap: "— some lines may be missing here —", "— здесь могут быть пропущены строки —";
    log_lost: "The connection is lost; trying again …", "Связь потеряна, пробуем ещё раз …";
    matches: "{n} found in the {m} lines that are shown; the download has more", "найдено: {n} из {m} показанных строк; в скачанном журнале их больше";
    last_jobs: "Last jobs", "Последние работы";
    no_jobs: "None yet.", "Пока ни одной.";
    branch_stays: "Its branch stays on the git server: a new workspace of this address begins with it.", "Ветка осталась на сервере git: новый стенд для этого адреса начнётся с неё.";
    to_workspace: "To the workspace", "К стенду";
    job_at_work: "A job is at work on it.", "Сейчас с этим идёт работа.";

    delete_title: "Delete the workspace?", "Удалить стенд?";
    delete_lead:
        "Its folder, processes and address go, and cannot be brought back.",
        "Папка, процессы и адрес исчезнут, вернуть их нельзя.";
    nothing_lost:
        "All its commits are on the git server. Nothing that cannot be replaced would be lost.",
        "Все коммиты есть на сервере git. Ничего незаменимого не пропадёт.";
    lost_title: "This work would be lost", "Эта работа пропадёт";
    lost_lead:
        "It is in this workspace and nowhere else. Push it first, or type the address to lose it.",
        "Она есть только в этом стенде. Сначала отправьте её или введите адрес, чтобы потерять её.";
    lost_uncommitted: "Changed and not committed", "Изменено, но без коммита";
    lost_unpushed: "Committed and not pushed", "В коммитах, но не отправлено";
    lost_unseen: "Could not be looked at", "Не удалось проверить";
    files_go: "These files go as well", "Вместе с ним исчезнут файлы";
    forgotten_go: "So do commits that no branch holds", "И коммиты, которых нет ни в одной ветке";
    with_branch: "Delete its branch on the git server as well", "Удалить и ветку на сервере git";
    type_address: "Type the workspace's address", "Введите адрес стенда";
    wrong_address: "This is not the workspace's address.", "Это не адрес этого стенда.";
    delete_now: "Delete", "Удалить";
    delete_with_work: "Delete with this work", "Удалить вместе с работой";
    keep_it: "Keep it", "Оставить";

    old_form: "This page is out of date", "Эта страница устарела";
    old_form_text:
        "You have signed in or out since it was opened. Nothing was done: open it again.",
        "С тех пор, как она открыта, вы вошли или вышли. Ничего не сделано: откройте её снова.";
    too_many: "Too much in a short time", "Слишком много за короткое время";
    too_many_text:
        "Wait a minute, then try again. Nothing was done.",
        "Подождите минуту и попробуйте снова. Ничего не сделано.";
}

impl Lang {
    /// How many commits a clone has more and less than the server.
    pub fn ahead_behind(self, ahead: u32, behind: u32) -> String {
        let parts = [
            (ahead, self.pick("not pushed", "не отправлено")),
            (behind, self.pick("not fetched", "не получено")),
        ];
        let parts: Vec<String> = parts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{} {what}", self.commits(*count)))
            .collect();
        match parts.is_empty() {
            true => self.up_to_date().to_owned(),
            false => parts.join(", "),
        }
    }

    /// A test that ended with this status.
    pub fn test_failed(self, status: u8) -> String {
        match self {
            Self::En => format!("failed with exit status {status}"),
            Self::Ru => format!("не пройдено, код {status}"),
        }
    }

    /// So many commits.
    pub fn commits(self, count: u32) -> String {
        self.count(
            count.into(),
            ["commit", "commits"],
            ["коммит", "коммита", "коммитов"],
        )
    }

    /// So many files.
    pub fn files(self, count: u64) -> String {
        self.count(count, ["file", "files"], ["файл", "файла", "файлов"])
    }

    /// So many more.
    pub fn and_more(self, count: u64) -> String {
        match self {
            Self::En => format!("and {count} more"),
            Self::Ru => format!("и ещё {count}"),
        }
    }

    /// What a job was about, and what has come of it, for a list.
    pub fn job_line(self, job: &Job) -> &'static str {
        let is_of_project = !job.email.contains('@');
        match (job.kind, is_of_project) {
            (JobKind::Deploy, true) => self.stage_job(job.state),
            _ => None,
        }
        .unwrap_or(self.job(job.kind, job.state))
    }

    /// A number with its noun in the right form.
    pub fn count(self, count: u64, en: [&str; 2], ru: [&str; 3]) -> String {
        let noun = match self {
            Self::En => en[usize::from(count != 1)],
            Self::Ru => match (count % 10, count % 100) {
                (_, 11..=14) => ru[2],
                (1, _) => ru[0],
                (2..=4, _) => ru[1],
                _ => ru[2],
            },
        };
        format!("{count} {noun}")
    }
}

#[cfg(test)]
mod tests {
    use super::Lang;

    #[test]
    fn numbers_have_their_noun() {
        for (count, ru, en) in [
            (0, "0 коммитов", "0 commits"),
            (1, "1 коммит", "1 commit"),
            (2, "2 коммита", "2 commits"),
            (5, "5 коммитов", "5 commits"),
            (11, "11 коммитов", "11 commits"),
            (14, "14 коммитов", "14 commits"),
            (21, "21 коммит", "21 commits"),
            (104, "104 коммита", "104 commits"),
            (112, "112 коммитов", "112 commits"),
        ] {
            assert_eq!(Lang::Ru.commits(count), ru);
            assert_eq!(Lang::En.commits(count), en);
        }
        assert_eq!(Lang::En.ahead_behind(0, 0), "as on the server");
        assert_eq!(
            Lang::Ru.ahead_behind(1, 3),
            "1 коммит не отправлено, 3 коммита не получено"
        );
    }
}
