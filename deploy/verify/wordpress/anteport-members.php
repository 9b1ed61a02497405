<?php
/**
 * Plugin Name: Anteport members
 * Description: Whoever Anteport has let in is signed in here: by the assertion of each request, and in no other way.
 */
// A must-use plugin for WordPress 5.6 or later: this file goes to wp-content/mu-plugins/, the files of ../php/ to
// wp-content/mu-plugins/anteport/, and the settings that anteport.php explains to wp-config.php:
//
//   define('ANTEPORT', ['issuer' => …, 'audience' => …, 'keys' => …, 'cache' => …]);
//
// A visitor without an assertion is anonymous: the site's public pages are for everybody, and only /wp-admin/ answers
// 401. Who comes with an assertion is a member or refused, whatever is asked for: 401 if it is not good, 503 while
// there are no keys to verify it with.
declare(strict_types=1);

defined('ABSPATH') || exit;
require_once __DIR__ . '/anteport/anteport.php';

/** The claims of the member who asks, null for nobody. Looked at once a request, before WordPress does anything. */
function anteport_claims(): ?array
{
    static $claims = false;
    if ($claims === false) $claims = isset($_SERVER['HTTP_X_ANTEPORT_ASSERTION']) ? anteport_member(ANTEPORT) : null;
    return $claims;
}

/** The id of the user who asks, 0 for nobody. */
function anteport_user(): int
{
    // Once a request; making a user asks who is signed in, which is nobody yet.
    static $user = null;
    if ($user !== null) return $user;
    $user = 0;
    $claims = anteport_claims();
    if ($claims === null) return 0;
    // The interface for scripts then wants its nonce, as it does beside WordPress's own cookie.
    $GLOBALS['wp_rest_auth_cookie'] = true;
    // As a hash, because the database takes capitals, accents and spaces at the end for the same.
    $subject = hash('sha256', $claims['sub']);
    return $user = anteport_find($subject) ?: anteport_make($subject, $claims);
}

/** Found by the stable key of the member, never by an e-mail address, which can change and be chosen. */
function anteport_find(string $subject): int
{
    $of_member = ['meta_key' => 'anteport_sub', 'meta_value' => $subject, 'blog_id' => 0];
    return (int) (get_users([...$of_member, 'fields' => 'ID', 'orderby' => 'ID', 'number' => 1])[0] ?? 0);
}

function anteport_make(string $subject, array $claims): int
{
    global $wpdb;
    // A browser's first requests come together; one of them makes the user.
    $lock = 'anteport-' . substr($subject, 0, 40);
    $wpdb->get_var($wpdb->prepare('SELECT GET_LOCK(%s, 5)', $lock));
    $name = is_string($claims['name'] ?? null) ? $claims['name'] : 'Member';
    $user = anteport_find($subject) ?: wp_insert_user([
        'user_login' => 'member-' . substr($subject, 0, 32),
        'user_pass' => wp_generate_password(64, true, true),
        'display_name' => $name,
        'nickname' => $name,
        'role' => 'subscriber',
        'meta_input' => ['anteport_sub' => $subject],
    ]);
    $wpdb->get_var($wpdb->prepare('SELECT RELEASE_LOCK(%s)', $lock));
    // A member is never nobody.
    if (is_wp_error($user)) anteport_refuse(new AnteportUnavailable("no user was made: {$user->get_error_message()}"));
    return $user;
}

anteport_claims();

// After WordPress's own, whose cookies and application passwords count no more.
add_filter('determine_current_user', fn () => anteport_user() ?: false, 1000);
add_filter('authenticate', fn () => new WP_Error('anteport', 'Passwords are not used here.'), 1000);
add_filter('wp_is_application_passwords_available', '__return_false');
add_filter('allow_password_reset', '__return_false');
add_filter('show_password_fields', '__return_false');
add_filter('login_url', fn () => home_url('/.auth/login'), 1000);
add_filter('logout_url', fn () => home_url('/.auth/logout'), 1000);
add_action('wp_logout', fn () => wp_redirect(home_url('/.auth/logout')) && exit);

/** In place of WordPress's own, which looks for its cookie before it shows a page of /wp-admin/. */
function auth_redirect(): void
{
    if (is_user_logged_in()) return;
    wp_die('Please sign in.', 'Please sign in', ['response' => 401]);
}
