<?php
// What php-fpm answers with.
header('Content-Type: text/plain');
switch ($_SERVER['DOCUMENT_URI']) {
    case '/upload':
        echo strlen(file_get_contents('php://input')), "\n";
        break;
    case '/sleep':
        usleep(1000 * (int)$_GET['ms']);
        // the same answer
    default:
        for ($i = 0; $i < 4; $i++) {
            printf("%015x\n", $i);
        }
}
