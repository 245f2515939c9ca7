<?php

// A bot in plain PHP, for php-fpm or any other FastCGI server.  SECRET, the
// secret_token of the webhook, is a parameter of FastCGI or of the environment.

declare(strict_types=1);

// A warning in the answer would spoil it; a fatal error is a 500 only if it
// is not shown.
ini_set('display_errors', '0');
ini_set('log_errors', '1');


// One call, a list of calls, or null.  A chat_id or callback_query_id that is
// missing is put in by nginx.

function answer(array $update): ?array
{
    if (isset($update['callback_query'])) {
        $data = $update['callback_query']['data'];

        return [
            ['method' => 'answerCallbackQuery', 'text' => 'Noted.'],
            ['method' => 'sendMessage', 'text' => "You chose $data."],
        ];
    }

    $message = $update['message'] ?? [];

    if (!isset($message['text'])) {
        return null;
    }

    if ($message['text'] === '/start') {
        $user = $message['from'] ?? throw new RuntimeException('no user');

        return [
            'method' => 'sendMessage',
            'text' => "Hello {$user['first_name']}!",
            'reply_markup' => ['inline_keyboard' => [[
                ['text' => 'Tea', 'callback_data' => 'tea'],
                ['text' => 'Coffee', 'callback_data' => 'coffee'],
            ]]],
        ];
    }

    if ($message['text'] === '/menu') {
        return array_map(fn ($line) => ['method' => 'sendMessage', 'text' => $line],
                         ['We have', 'tea', 'and coffee.']);
    }

    return ['method' => 'sendMessage', 'text' => "You said: {$message['text']}"];
}


$secret = $_SERVER['SECRET'] ?? getenv('SECRET') ?: '';
$given = $_SERVER['HTTP_X_TELEGRAM_BOT_API_SECRET_TOKEN'] ?? '';

if (!hash_equals($secret, $given)) {
    http_response_code(401);
    exit;
}

$update = json_decode(file_get_contents('php://input'), true,
                      flags: JSON_THROW_ON_ERROR);
$calls = answer($update);

// PHP's own text/html would not be taken for a call
header('Content-Type: application/json');

if ($calls !== null) {
    echo json_encode($calls, JSON_THROW_ON_ERROR);
}
