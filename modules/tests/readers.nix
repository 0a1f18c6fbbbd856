# Whoever is in the group reads the weights; nobody else does.
{ module }:
let
  story = import ./parts/story.nix { inherit module; };
  model = story.entry "ajna-insight-v1" "the weights of a story";
in
{
  name = "hallmark-readers";
  nodes = {
    hub = story.hub { files = [ model ]; };
    host =
      { config, ... }:
      {
        imports = [
          (story.host {
            indexPath = story.index [ model ];
            deployedModels = [ model.id ];
            modelStorePath = "/srv/models";
            huggingFace.endpoint = "http://hub";
          })
        ];
        users.users.inference = {
          isNormalUser = true;
          extraGroups = [ config.services.models.group ];
        };
        users.users.visitor.isNormalUser = true;
      };
  };
  testScript = ''
    ${story.looks}
    start_all()
    hub.wait_for_open_port(80)
    wait_for_state(host, "${model.id}", "deployed")
    path = "/srv/models/${model.id}/model.bin"
    assert "the weights" in host.succeed(f"su - inference -c 'cat {path}'")
    cached = "/srv/models/hf-cache/models--hallmark--${model.id}"
    host.succeed(f"su - inference -c 'cat {cached}/snapshots/*/model.bin'")
    host.fail(f"su - inference -c 'echo x >> {path}'")
    host.fail(f"su - visitor -c 'cat {path}'")
    host.fail("su - visitor -c 'ls /srv/models'")
    host.fail("su - inference -c 'curl -sS --unix-socket /var/lib/hallmark/daemon.sock http://x/v1/models'")
  '';
}
