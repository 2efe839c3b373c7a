//! What every page may say.

use super::Lang;

sentences! {
    sign_in: "Sign in", "Войти";
    sign_out: "Sign out", "Выйти";
    sign_in_lead:
        "You were given a link? Open it. On another device, type your address and the code that came with it.",
        "Вам дали ссылку? Откройте её. На другом устройстве введите свой адрес и код, который пришёл вместе с ней.";
    link_lead:
        "This link is good once. The button signs you in on this device.",
        "Эта ссылка действует один раз. Кнопка выполнит вход на этом устройстве.";
    code_of_link: "Code", "Код";
    not_good:
        "This link or code is not good: it may have been used, or be too old.",
        "Ссылка или код не подходят: возможно, они уже использованы или устарели.";
    how_to_get_a_link:
        "No link? An administrator makes one for your address:",
        "Нет ссылки? Администратор сделает её для вашего адреса:";
    lead_own:
        "You have no workspace yet: a running copy of a project with an address that answers, \
         a folder and a branch of your own. It takes a few seconds.",
        "У вас пока нет стенда: работающей копии проекта с адресом, который отвечает, папкой и своей веткой. \
         Он появится за несколько секунд.";
    new_workspace: "New workspace", "Новый стенд";
    a_copy_of: "A copy of", "Копия проекта";
    begin_from: "Begin from the branch", "Начать с ветки";
    the_projects_own: "the project's own", "ветка проекта";
    from_branch: "from", "от ветки";
    has_all:
        "You have a workspace of every project.",
        "У вас есть стенд каждого проекта.";
    your_workspaces: "Your workspaces", "Ваши стенды";
    workspaces: "Workspaces", "Стенды";
    lead:
        "One e-mail address, and a few seconds later a running copy of the project: \
         an address that answers, a folder, a branch of your own.",
        "Один адрес почты, и через несколько секунд у вас есть работающая копия проекта: \
         адрес, который отвечает, папка и своя ветка.";
    email: "E-mail address", "Адрес эл. почты";
    project: "Project", "Проект";
    create: "Create workspace", "Создать стенд";
    all_workspaces: "All workspaces", "Все стенды";
    none_yet: "There are no workspaces yet.", "Стендов пока нет.";
    project_broken:
        "This project's file cannot be read, so nothing can be made of it until an administrator mends the file:",
        "Файл этого проекта не читается: пока администратор его не исправит, ничего нового создать нельзя:";
    no_projects:
        "No project can be used yet: the operator has to describe one first.",
        "Пока нет ни одного проекта: сначала его должен описать администратор.";
    column_email: "E-mail", "Эл. почта";
    column_commit: "Commit", "Коммит";
    column_port: "Port", "Порт";
    column_state: "State", "Состояние";
    column_url: "URL", "URL";
    invalid_email: "This address cannot be used.", "Такой адрес не подойдёт.";

    your_workspace: "The workspace", "Стенд";
    health: "Application", "Приложение";
    processes: "Processes", "Процессы";
    column_restarts: "Restarts", "Перезапусков";
    last_end: "last end", "последнее завершение";
    branch: "Branch", "Ветка";
    directory: "Folder on the server", "Папка на сервере";
    commit: "Made from commit", "Создан из коммита";
    created_at: "Asked for", "Запрошен";
    get_a_clone: "A clone for your own machine", "Копия на свой компьютер";
    watch_job: "Watch the progress", "Следить за ходом работы";
    last_job: "How it went", "Как это было";
    gone: "This workspace no longer exists.", "Этого стенда больше нет.";

    progress: "Progress", "Ход работы";
    step_of: "Step {n} of {m}: {label}", "Шаг {n} из {m}: {label}";
    not_begun: "not begun", "не начат";
    connection_lost:
        "The connection is lost; trying again …",
        "Связь потеряна, пробуем ещё раз …";
    failure: "What went wrong", "Что пошло не так";
    failed_step: "Step", "Шаг";
    hint: "What to do", "Что делать";
    last_lines: "What it wrote last", "Что выведено последним";
    output:
        "What the step wrote, for those who may read the workspace's logs:",
        "Что этот шаг вывел, для тех, кому можно читать журналы стенда:";
    nothing_left:
        "Everything was taken back; nothing is left on the server.",
        "Всё возвращено как было, на сервере ничего не осталось.";
    ask_operator:
        "This needs a person: the operator goes on with it by",
        "Здесь нужен человек: администратор продолжит работу командой";
    owed: "Still to be done by the server", "Сервер ещё доделает";
    try_again: "Try again", "Попробовать ещё раз";
    to_start: "To all workspaces", "Ко всем стендам";

    silent_title: "Nothing answers here at the moment", "Сейчас здесь никто не отвечает";
    silent_text:
        "The application is starting, has stopped or is down. This page goes on by itself as soon as it answers.",
        "Приложение запускается, остановлено или не работает. Страница откроется сама, как только оно ответит.";
    silent_not_sent:
        "The application is starting, has stopped or is down. What you sent may not have arrived: go back and send it again later.",
        "Приложение запускается, остановлено или не работает. Отправленное могло не дойти: вернитесь и отправьте ещё раз позже.";
    stopped_title: "This workspace is stopped", "Этот стенд остановлен";
    stopped_text:
        "Its processes do not run until somebody starts them. This page goes on by itself then.",
        "Его процессы не работают, пока их не запустят. Тогда страница откроется сама.";
    is_it_yours: "Is it yours? See what is wrong", "Это ваш стенд? Посмотреть, что случилось";
    nobody_title: "No such workspace", "Такого стенда нет";
    nobody_text: "Nobody has a workspace of this name here.", "Здесь ни у кого нет стенда с таким именем.";

    go_back: "Back", "Назад";
    session_ended:
        "You are not signed in any more: you signed out elsewhere, an administrator ended it, or it was too old.",
        "Вы больше не вошли: вы вышли в другом месте, вход завершил администратор, или он устарел.";
    not_yours: "This is not yours", "Это не ваше";
    not_yours_text:
        "Its owner sees here what is wrong with it. Ask them, or an administrator.",
        "Что с ним случилось, видит здесь его владелец. Спросите его или администратора.";
    no_page: "There is no such page", "Такой страницы нет";
    no_workspace: "There is no such workspace", "Такого стенда нет";
    no_job: "There is no such job", "Такой работы нет";
    exists: "This address has a workspace already", "У этого адреса уже есть стенд";
    in_the_way: "Another job is in the way", "Мешает другая работа";
    unreachable: "cid does not answer", "cid не отвечает";
    unreachable_text:
        "The server part of cid is not running, or is just starting. \
         Nothing is lost; try again in a moment.",
        "Серверная часть cid не запущена или ещё запускается. \
         Ничего не потеряно, попробуйте чуть позже.";
    busy: "Too much at once", "Слишком много сразу";
    busy_text:
        "There are more requests than can be answered now. Try again in a moment.",
        "Запросов больше, чем можно обработать. Попробуйте чуть позже.";
    foreign: "This request came from another site", "Запрос пришёл с другого сайта";
    foreign_text:
        "Forms are taken from this site's own pages only. Nothing was done.",
        "Формы принимаются только со страниц этого сайта. Ничего не сделано.";
    bad_form: "This form cannot be read", "Эту форму нельзя прочитать";
    bad_form_text:
        "Send it from the start page: one e-mail address, and where there is a choice, one project.",
        "Отправьте её с главной страницы: один адрес и, если есть выбор, один проект.";
    denied: "This is not allowed", "Это не разрешено";
    trouble: "This did not work", "Не получилось";
}
