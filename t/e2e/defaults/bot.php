<?php

// PHP as it comes: the answer is text/html, and errors are shown if php.ini
// does not say otherwise.

$update = json_decode(file_get_contents('php://input'), true);

if ($update['message']['text'] === '/fail') {
    throw new RuntimeException('on purpose');
}

echo json_encode(['method' => 'sendMessage', 'text' => 'Hello']);
