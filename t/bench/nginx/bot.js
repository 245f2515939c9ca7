// What the module does with an update, as one would write it in njs.  Where
// njs has no shared memory, updates are not remembered and limits not kept.

const RATE = 100000;
const BURST = 100000;

const replies = {
    '/start': (message) => `Hello ${message.from.first_name}!  Tell me what`
                           + ` you look for.`,
    '/help': () => 'Ask for /hours, or /order and a number.',
    '/hours': () => 'We are open from 9 to 18.',
    '/order': (message, args) => `Order ${args} is on its way.`,
};


function same(a, b) {
    let differ = a.length ^ b.length;

    for (let i = 0; i < a.length; i++) {
        differ |= a.charCodeAt(i) ^ b.charCodeAt(i);
    }

    return differ == 0;
}


function take(dict, key) {
    let now = Date.now();
    let tokens = BURST;
    let stored = dict.get(key);

    if (stored !== undefined) {
        let old = stored.split(' ');
        tokens = Math.min(BURST, Number(old[0])
                                 + (now - Number(old[1])) * RATE / 1000);
    }

    if (tokens < 1) {
        return false;
    }

    dict.set(key, `${tokens - 1} ${now}`);

    return true;
}


function update(r) {
    let secret = r.headersIn['X-Telegram-Bot-Api-Secret-Token'];

    if (!secret || !same(secret, r.variables.secret)) {
        r.return(401);
        return;
    }

    let update;

    try {
        update = JSON.parse(r.requestText);

    } catch (e) {
        r.return(400);
        return;
    }

    let shared = ngx.shared;

    if (shared && !shared.seen.add(String(update.update_id), '1')) {
        r.return(200);
        return;
    }

    let message = update.message;

    if (!message) {
        r.return(200);
        return;
    }

    if (shared && !(take(shared.users, String(message.from.id))
                    && take(shared.chats, String(message.chat.id))))
    {
        r.return(200);
        return;
    }

    let command = /^(\/\w+)\S*\s*(.*)$/.exec(message.text || '');
    let reply = command && replies[command[1]];

    if (!reply) {
        r.return(200);
        return;
    }

    r.headersOut['Content-Type'] = 'application/json';
    r.return(200, JSON.stringify({
        method: 'sendMessage',
        chat_id: message.chat.id,
        text: reply(message, command[2]),
    }));
}


export default { update };
