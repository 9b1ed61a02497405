<?php
// Fills a new WordPress: its tables, one local user, one page with a password of its own. Says as JSON what an attacker
// might have: an application password, and the key of a letter «set your password». Run again, it writes another letter.
[, $folder, $password] = $argv;
define('WP_INSTALLING', true);
$_SERVER['HTTP_HOST'] = '127.0.0.1';
require "$folder/wp-load.php";
require ABSPATH . 'wp-admin/includes/upgrade.php';

$key = fn () => get_password_reset_key(get_user_by('login', 'clerk'));
if (is_blog_installed()) {
    echo json_encode(['key' => $key()]);
    exit;
}
wp_install('Harbor club', 'clerk', 'clerk@harborclub.example', true, '', $password);
switch_theme('twentytwentyone');
update_option('users_can_register', 1);
update_option('permalink_structure', '/%postname%/');
wp_insert_post([
    'post_title' => 'Berths', 'post_name' => 'berths', 'post_content' => 'Berth seven is free.',
    'post_status' => 'publish', 'post_password' => 'seagull',
]);
$user = get_user_by('login', 'clerk');
[$application] = WP_Application_Passwords::create_new_application_password($user->ID, ['name' => 'old phone']);
echo json_encode(['application' => $application, 'key' => $key()]);
